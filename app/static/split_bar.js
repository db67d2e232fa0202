const make = (tag, name, text) => {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined) node.textContent = text;
  return node;
};

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".root"), look = getComputedStyle(root);
  const colours = look.getPropertyValue("--st-chart-categorical-colors").match(/#[0-9a-f]{6}/gi) ?? ["#0072b2"];
  const shade = (part, at) => part.grey ? `color-mix(in srgb, var(--st-text-color) ${100 * part.grey}%, transparent)` : colours[at % colours.length];
  const bar = make("div", "bar"), list = make("ul");
  bar.setAttribute("role", "img");
  bar.setAttribute("aria-label", data.parts.map(part => `${part.name} ${part.text}`).join(", "));
  data.parts.forEach((part, at) => {
    const piece = make("i"), dot = make("i"), item = make("li");
    piece.style.width = `${100 * part.share}%`;
    piece.style.background = dot.style.background = shade(part, at);
    bar.append(piece);
    item.append(dot, make("span", "", `${part.name} ${part.text}`));
    list.append(item);
  });
  root.replaceChildren(bar, list);
}
