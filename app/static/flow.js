const decode = packed => {
  const bytes = Uint8Array.from(atob(packed.bdata), c => c.charCodeAt(0));
  return new { f4: Float32Array, i4: Int32Array, f8: Float64Array }[packed.dtype](bytes.buffer);
};
const words = value => Number.isFinite(value) ? (value === 0 ? "0" : Math.abs(value) < 1e-3 || Math.abs(value) >= 1e4 ? value.toExponential(1) : value.toPrecision(3)) : "–";
const FRAME = 90;

function rows(root, names) {
  const list = root.querySelector(".rows");
  if (root.names === names.join("\n")) return [...list.children];
  root.names = names.join("\n");
  list.replaceChildren(...[...names].reverse().map(name => {
    const row = document.createElement("div"), label = document.createElement("span");
    const track = document.createElement("span"), bar = document.createElement("i"), value = document.createElement("b");
    row.className = "row"; label.className = "layer"; track.className = "track";
    label.textContent = name; label.title = name;
    track.append(bar);
    row.append(label, track, value);
    return row;
  }));
  return [...list.children];
}

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".flow"), slider = root.querySelector("input"), play = root.querySelector("button");
  const steps = decode(data.steps), values = decode(data.values), width = data.names.length, last = steps.length - 1;
  const atEnd = slider.max === "" || slider.value === slider.max || !root.wired;
  slider.max = String(last);
  if (atEnd && !root.timer) slider.value = String(last);
  const drawn = rows(root, data.names);
  const finite = [...values].filter(v => Number.isFinite(v) && v > 0);
  const low = Math.log10(Math.max(finite.reduce((a, b) => Math.min(a, b), Infinity), 1e-12)), high = Math.log10(finite.reduce((a, b) => Math.max(a, b), 1e-12));
  const share = v => !(v > 0) ? 0 : high > low ? 3 + 97 * (Math.log10(v) - low) / (high - low) : 100;
  const show = () => {
    const at = Math.min(Number(slider.value), last);
    root.querySelector(".step").textContent = `${data.step} ${steps[at].toLocaleString(data.lang)}`;
    slider.setAttribute("aria-valuetext", root.querySelector(".step").textContent);
    drawn.forEach((row, i) => {
      const v = values[at * width + (width - 1 - i)];
      row.querySelector("i").style.width = `${share(v)}%`;
      row.querySelector("b").textContent = words(v);
    });
  };
  const label = () => {
    play.textContent = root.timer ? "pause" : "play_arrow";
    play.setAttribute("aria-label", root.timer ? data.pause : data.play);
    play.title = root.timer ? data.pause : data.play;
  };
  const halt = () => { clearInterval(root.timer); root.timer = undefined; label(); };
  root.show = show; root.halt = halt;
  slider.setAttribute("aria-label", data.step);
  label();
  show();
  root.toggle = () => {
    if (root.timer) return halt();
    if (Number(slider.value) >= Number(slider.max)) slider.value = "0";
    root.timer = setInterval(() => {
      if (!root.isConnected || Number(slider.value) >= Number(slider.max)) return root.halt();
      slider.value = String(Number(slider.value) + 1);
      root.show();
    }, FRAME);
    label();
  };
  if (!root.wired) {
    root.wired = true;
    play.addEventListener("click", () => root.toggle());
    slider.addEventListener("input", () => root.show());
  }
}
