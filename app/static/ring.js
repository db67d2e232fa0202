const make = (tag, name, text) => {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined) node.textContent = text;
  return node;
};

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".root"), look = getComputedStyle(root);
  const colours = look.getPropertyValue("--st-chart-categorical-colors").match(/#[0-9a-f]{6}/gi) ?? ["#0072b2"];
  const grey = share => `color-mix(in srgb, var(--st-text-color) ${100 * share}%, transparent)`;
  let from = 0;
  const shades = data.parts.map((part, at) => part.grey ? grey(part.grey) : colours[at % colours.length]);
  const stops = data.parts.map((part, at) => `${shades[at]} ${(from * 100).toFixed(2)}% ${((from += part.share) * 100).toFixed(2)}%`);
  const ring = make("div", "ring"), middle = make("div", "middle", data.value), hold = make("div", "hold"), list = make("ul");
  ring.style.background = `conic-gradient(${stops.join(", ")})`;
  middle.append(make("small", "", data.label));
  hold.append(ring, middle);
  hold.setAttribute("role", "img");
  hold.setAttribute("aria-label", `${data.value} ${data.label}`);
  list.append(...data.parts.map((part, at) => {
    const item = make("li"), dot = make("i");
    dot.style.background = shades[at];
    item.append(dot, make("span", "", part.name), make("span", "", part.text));
    return item;
  }));
  root.replaceChildren(hold, list);
}
