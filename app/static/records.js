const make = (tag, name, text) => {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined) node.textContent = text;
  return node;
};

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".root"), text = JSON.stringify(data.records);
  if (root.drawn === text) return;
  root.drawn = text;
  root.replaceChildren(...data.records.map(record => {
    const card = make("article"), head = make("header"), list = make("dl");
    if (record.title) head.append(make("strong", "", record.title));
    if (record.mark) {
      const mark = make("span", `badge ${record.mark.colour}`), icon = make("span", "icon", record.mark.icon);
      icon.setAttribute("aria-hidden", "true");
      mark.append(icon, record.mark.word);
      head.append(mark);
    }
    head.append(...record.facts.map(fact => make("span", "fact", fact)));
    for (const [label, value] of record.texts) list.append(make("dt", "", label), make("dd", "", value));
    card.append(head, list);
    if (record.action) {
      const button = make("button", "action", record.action.label);
      button.type = "button";
      button.addEventListener("click", () => setTriggerValue("pressed", record.action.id));
      card.append(button);
    }
    return card;
  }));
}
