const SVG = "http://www.w3.org/2000/svg";
const make = (tag, name, text) => {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined && text !== null) node.textContent = text;
  return node;
};

function spark(values, colour) {
  const svg = document.createElementNS(SVG, "svg"), line = document.createElementNS(SVG, "polyline");
  const low = Math.min(...values), span = Math.max(...values) - low || 1, width = 96, height = 22;
  const points = values.map((v, i) => `${(i / Math.max(values.length - 1, 1) * width).toFixed(1)},${(height - 2 - (v - low) / span * (height - 4)).toFixed(1)}`);
  svg.setAttribute("width", width); svg.setAttribute("height", height); svg.setAttribute("aria-hidden", "true");
  line.setAttribute("points", points.join(" "));
  line.setAttribute("fill", "none"); line.setAttribute("stroke", colour); line.setAttribute("stroke-width", "1.6");
  line.setAttribute("stroke-linejoin", "round");
  svg.append(line);
  return svg;
}

function badge(state) {
  const node = make("span", `badge ${state.colour}`), icon = make("span", "icon", state.icon);
  icon.setAttribute("aria-hidden", "true");
  node.append(icon, state.word);
  return node;
}

const draw = {
  link(cell, value, context) {
    const link = make("a", "", value.text);
    link.href = value.href;
    link.title = value.text;
    link.onclick = event => {
      if (event.metaKey || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      context.open(value.id);
    };
    cell.append(link);
    if (value.small) cell.append(make("span", "small", value.small));
  },
  state(cell, value) {
    cell.append(badge(value));
    if (value.small) cell.append(make("span", "small", value.small));
    if (value.exact) cell.title = value.exact;
  },
  progress(cell, value) {
    cell.append(make("span", "fine", value.text));
    if (value.share === null) return;
    const bar = make("span", `bar ${value.colour}`), fill = make("i");
    fill.style.width = `${Math.round(100 * value.share)}%`;
    bar.append(fill);
    cell.append(bar);
  },
  spark(cell, value, context) {
    if (value.values.length > 1) cell.append(spark(value.values, context.colours[value.colour % context.colours.length]));
  },
  star(cell, value, context) {
    const button = make("button", `star ${value.on ? "on" : ""}`, value.on ? "★" : "☆");
    button.type = "button";
    button.title = value.label;
    button.setAttribute("aria-label", value.label);
    button.setAttribute("aria-pressed", String(value.on));
    button.onclick = () => context.press(value.id);
    cell.append(button);
  },
  text(cell, value) {
    cell.append(make("span", value.strong ? "strong" : "", value.text));
    if (value.small) cell.append(make("span", "small", value.small));
    if (value.exact) cell.title = value.exact;
  },
};

const blank = value => value === null || value === undefined || value.text === "" || (value.values && value.values.length < 2);

function row(data, columns, context) {
  const made = make("tr", data.chosen ? "chosen" : "");
  if (context.selectable) {
    const cell = make("td", "pick"), box = make("input");
    box.type = "checkbox";
    box.checked = data.chosen;
    box.setAttribute("aria-label", data.label);
    box.onchange = () => context.choose(data.id, box.checked);
    cell.append(box);
    made.append(cell);
  }
  for (const column of columns) {
    const value = data.cells[column.name], cell = make("td", `${column.kind} ${column.style ?? ""}`);
    if (column.label) cell.dataset.label = column.label;
    if (blank(value)) cell.classList.add("blank");
    else draw[column.draw](cell, value, context);
    made.append(cell);
  }
  return made;
}

export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  const root = parentElement.querySelector(".wrap"), head = root.querySelector("thead tr"), body = root.querySelector("tbody");
  const look = getComputedStyle(root);
  const colours = look.getPropertyValue("--st-chart-categorical-colors").match(/#[0-9a-f]{6}/gi) ?? ["#0072b2"];
  const known = new Set(data.rows.map(r => r.id));
  root.chosen = new Set([...(root.stamp === data.stamp ? root.chosen ?? [] : data.chosen)].filter(id => known.has(id)));
  root.stamp = data.stamp;
  const tell = () => setStateValue("chosen", [...root.chosen]);
  const context = {
    colours, selectable: data.selectable,
    open: id => setTriggerValue("open", id),
    press: id => setTriggerValue("press", id),
    choose: (id, on) => { on ? root.chosen.add(id) : root.chosen.delete(id); tell(); },
  };
  const fold = () => root.classList.toggle("cards", root.clientWidth < 60 + 95 * root.columns);
  root.columns = data.columns.length;
  if (!root.watch) {
    root.watch = new ResizeObserver(fold);
    root.watch.observe(root);
  }
  fold();
  const heading = JSON.stringify(data.columns);
  if (root.heading !== heading) {
    root.heading = heading;
    head.replaceChildren();
    if (data.selectable) {
      const cell = make("th", "pick"), box = make("input", "all");
      box.type = "checkbox";
      box.setAttribute("aria-label", data.all);
      cell.append(box);
      head.append(cell);
    }
    head.append(...data.columns.map(column => {
      const cell = make("th", column.kind, column.label);
      if (column.hint) cell.title = column.hint;
      return cell;
    }));
  }
  const all = head.querySelector(".all");
  if (all) {
    all.checked = known.size > 0 && root.chosen.size === known.size;
    all.indeterminate = root.chosen.size > 0 && root.chosen.size < known.size;
    all.onchange = () => { root.chosen = all.checked ? new Set(known) : new Set(); tell(); };
  }
  const scope = parentElement instanceof ShadowRoot ? parentElement : document;
  data.rows.forEach((entry, at) => {
    const text = JSON.stringify([entry, root.chosen.has(entry.id), colours, heading]);
    const old = body.children[at];
    if (old?.drawn === text) return;
    const made = row({ ...entry, chosen: root.chosen.has(entry.id) }, data.columns, context);
    made.drawn = text;
    const focus = old && old.contains(scope.activeElement) ? scope.activeElement.tagName : null;
    if (old) old.replaceWith(made); else body.append(made);
    if (focus) made.querySelector(focus)?.focus();
  });
  while (body.children.length > data.rows.length) body.lastChild.remove();
  return () => { if (!root.isConnected) root.watch.disconnect(); };
}
