const make = (tag, name, text) => {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined && text !== null) node.textContent = text;
  return node;
};

function segment(part, total, colours, open) {
  const node = make(part.id ? "button" : "span", `part ${part.id ? "" : "foreign"}`);
  node.style.flexGrow = 0;
  node.style.flexBasis = `${Math.max(100 * part.size / total, 1.2)}%`;
  if (part.id) {
    node.style.setProperty("--mark", colours[part.colour % colours.length]);
    node.type = "button";
    node.onclick = () => open(part.id);
  }
  node.title = part.tip;
  node.append(make("span", "name", part.name));
  if (part.id) node.setAttribute("aria-label", part.tip);
  return node;
}

function bar(data, colours, open) {
  const box = make("div", "slot"), head = make("div", "head"), track = make("div", "track");
  head.append(make("span", "title", data.title), make("span", "said", data.said));
  if (data.note) head.append(make("span", "note", data.note));
  if (data.reserved) track.classList.add("reserved");
  track.append(...data.parts.map(part => segment(part, data.total, colours, open)));
  box.append(head, track);
  return box;
}

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".slots"), look = getComputedStyle(root);
  const colours = look.getPropertyValue("--st-chart-categorical-colors").match(/#[0-9a-f]{6}/gi) ?? ["#0072b2"];
  const scope = parentElement instanceof ShadowRoot ? parentElement : document;
  data.bars.forEach((entry, at) => {
    const text = JSON.stringify([entry, colours]), old = root.children[at];
    if (old?.drawn === text) return;
    const made = bar(entry, colours, id => setTriggerValue("open", id));
    made.drawn = text;
    const focus = old?.contains(scope.activeElement) ? [...old.querySelectorAll("button")].indexOf(scope.activeElement) : -1;
    if (old) old.replaceWith(made); else root.append(made);
    if (focus >= 0) made.querySelectorAll("button")[focus]?.focus();
  });
  while (root.children.length > data.bars.length) root.lastChild.remove();
}
