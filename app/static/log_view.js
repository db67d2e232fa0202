export default function ({ data, parentElement }) {
  const box = parentElement.querySelector("pre");
  if (box.drawn === data.stamp) return;
  const moved = box.place !== data.place, atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
  box.drawn = data.stamp;
  box.place = data.place;
  box.style.height = `${data.height}px`;
  const rows = data.lines.map(([level, before, found, after, kind]) => {
    const row = document.createElement("span");
    row.className = `${level} ${kind}`;
    row.append(before);
    if (found) {
      const mark = document.createElement("mark");
      mark.textContent = found;
      row.append(mark);
    }
    row.append(after + "\n");
    return row;
  });
  box.replaceChildren(...rows);
  if (!rows.length) box.textContent = data.empty;
  if (moved) box.scrollTop = data.fromTop ? 0 : box.scrollHeight;
  else if (atEnd && !data.fromTop) box.scrollTop = box.scrollHeight;
}
