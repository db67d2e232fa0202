const make = (tag, name, text) => {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined && text !== null) node.textContent = text;
  return node;
};

function select(choices, value, label, changed) {
  const node = make("select");
  node.setAttribute("aria-label", label);
  for (const choice of choices) {
    const option = make("option", "", choice.text);
    option.value = choice.value;
    option.selected = choice.value === value;
    node.append(option);
  }
  node.onchange = () => changed(node.value);
  return node;
}

function arrow(icon, label, press, off) {
  const node = make("button", "icon", icon);
  node.type = "button";
  node.title = label;
  node.setAttribute("aria-label", label);
  node.disabled = off;
  node.dataset.does = icon;
  node.onclick = press;
  return node;
}

function labelled(name, label, ...inside) {
  const cell = make("div", name);
  cell.append(make("span", "label", label), ...inside);
  return cell;
}

function row(job, data, tell) {
  const words = data.words, item = make("li", "job"), handle = make("span", "handle icon", "drag_indicator");
  item.dataset.id = job.id;
  item.draggable = true;
  handle.title = words.drag;
  handle.setAttribute("aria-hidden", "true");
  const link = make("a", "", job.name), about = make("div", "name"), small = make("span", "small", `${job.small} · ${job.since}`);
  link.href = job.href;
  link.title = job.name;
  link.draggable = false;
  link.onclick = event => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    tell("open", job.id, "");
  };
  small.title = job.exact;
  about.append(link, small);
  const number = make("span", "number", String(job.number));
  if (job.hand) {
    const pin = make("span", "icon pin", "push_pin");
    pin.title = words.hand;
    pin.setAttribute("role", "img");
    pin.setAttribute("aria-label", words.hand);
    number.append(pin);
  }
  const wants = labelled("wants", words.wants, make("span", "fine", job.wants));
  const why = labelled("why", words.why, make("span", "", job.why));
  const start = labelled("start", words.start, make("span", "fine", job.start), select(data.later, "", words.later, value => value && tell("later", job.id, value)));
  const grade = labelled("class", words.priority, select(data.classes, job.priority, `${words.priority}: ${job.name}`, value => tell("class", job.id, value)));
  const moves = make("div", "moves"), first = job.number === 1, last = job.number === data.total;
  moves.append(
    arrow("vertical_align_top", `${words.top}: ${job.name}`, () => tell("top", job.id, ""), first),
    arrow("arrow_upward", `${words.up}: ${job.name}`, () => tell("up", job.id, ""), first),
    arrow("arrow_downward", `${words.down}: ${job.name}`, () => tell("down", job.id, ""), last),
    arrow("vertical_align_bottom", `${words.bottom}: ${job.name}`, () => tell("bottom", job.id, ""), last),
  );
  if (job.hand) moves.append(arrow("balance", `${words.fair}: ${job.name}`, () => tell("fair", job.id, ""), false));
  item.append(handle, number, about, grade, wants, why, start, moves);
  return item;
}

function dragging(root, list, tell) {
  const clear = () => list.querySelectorAll(".over, .under").forEach(node => node.classList.remove("over", "under"));
  list.ondragstart = event => {
    const item = event.target.closest?.("li");
    if (!item) return;
    root.dragged = item.dataset.id;
    item.classList.add("dragged");
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", "");
  };
  list.ondragover = event => {
    const item = event.target.closest?.("li");
    if (!root.dragged || !item) return;
    event.preventDefault();
    clear();
    const box = item.getBoundingClientRect();
    if (item.dataset.id !== root.dragged) item.classList.add(event.clientY < box.top + box.height / 2 ? "over" : "under");
  };
  list.ondrop = event => {
    const item = list.querySelector(".over, .under");
    event.preventDefault();
    if (root.dragged && item) tell(item.classList.contains("over") ? "before" : "after", root.dragged, item.dataset.id);
  };
  list.ondragend = () => {
    root.dragged = null;
    clear();
    list.querySelectorAll(".dragged").forEach(node => node.classList.remove("dragged"));
    root.draw?.();
  };
}

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".line"), list = root.querySelector("ol");
  const scope = parentElement instanceof ShadowRoot ? parentElement : document;
  const tell = (verb, id, value) => {
    root.count = (root.count ?? 0) + 1;
    root.held = { id, does: scope.activeElement?.dataset?.does };
    setTriggerValue("wish", { verb, id, value, number: root.count });
  };
  if (!root.watch) {
    root.watch = new ResizeObserver(() => root.classList.toggle("cards", root.clientWidth < 900));
    root.watch.observe(root);
    dragging(root, list, tell);
  }
  root.draw = () => {
    const focused = scope.activeElement?.closest?.("li"), kept = focused?.dataset.id ?? root.held?.id;
    const does = scope.activeElement?.dataset?.does ?? root.held?.does, tag = scope.activeElement?.tagName;
    if (tag === "SELECT" && focused) return; // an open list would close
    let lost = false;
    data.rows.forEach((entry, at) => {
      const text = JSON.stringify([entry, data.total, data.words]), old = list.children[at];
      if (old?.drawn === text) return;
      const made = row(entry, data, tell);
      made.drawn = text;
      lost ||= Boolean(old?.contains(scope.activeElement));
      if (old) old.replaceWith(made); else list.append(made);
    });
    while (list.children.length > data.rows.length) list.lastChild.remove();
    if (lost && kept && does) {
      const item = [...list.children].find(node => node.dataset.id === kept);
      const button = item?.querySelector(`[data-does="${does}"]`);
      (button?.disabled ? item.querySelector("button:enabled") : button)?.focus();
    }
  };
  if (!root.dragged) root.draw();
  return () => { if (!root.isConnected) root.watch.disconnect(); };
}
