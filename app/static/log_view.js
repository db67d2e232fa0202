export default function ({ data, parentElement }) {
  const box = parentElement.querySelector("pre");
  if (box.drawn === data.stamp) return;
  const first = box.drawn === undefined, atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
  box.drawn = data.stamp;
  box.style.height = `${data.height}px`;
  const rows = data.lines.map(([level, text]) => {
    const row = document.createElement("span");
    row.className = level;
    row.textContent = text + "\n";
    return row;
  });
  box.replaceChildren(...rows);
  if (!rows.length) box.textContent = data.empty;
  if (first || atEnd) box.scrollTop = box.scrollHeight;
}
