const make = (tag, name, text) => {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined) node.textContent = text;
  return node;
};

export default function ({ data, parentElement, setTriggerValue }) {
  const list = parentElement.querySelector("ol");
  const text = JSON.stringify(data.stages);
  if (list.drawn === text) return;
  const focused = [...list.children].findIndex(item => item.contains(parentElement.activeElement ?? document.activeElement));
  list.drawn = text;
  list.setAttribute("aria-label", data.label);
  list.classList.toggle("one", data.stages.some(stage => stage.here));
  list.replaceChildren(...data.stages.map(stage => {
    const item = make("li", [stage.state.colour, stage.reached && "reached", stage.here && "here"].filter(Boolean).join(" "));
    const link = make("a");
    link.href = stage.href;
    link.title = stage.title;
    link.setAttribute("aria-label", [stage.name, stage.state.word, stage.detail].filter(Boolean).join(", "));
    if (stage.here) link.setAttribute("aria-current", "step");
    const dot = make("span", "dot");
    dot.append(make("span", "icon", stage.state.icon));
    dot.firstChild.setAttribute("aria-hidden", "true");
    const state = make("span", "state", stage.state.word);
    if (stage.detail) state.append(make("span", "detail", stage.detail));
    link.append(dot, make("span", "name", stage.name), state);
    link.onclick = event => {
      if (event.metaKey || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      setTriggerValue("open", stage.id);
    };
    item.append(link);
    return item;
  }));
  if (focused >= 0) list.children[focused]?.querySelector("a").focus();
}
