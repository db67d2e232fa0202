const size = n => { const u = ["B", "KiB", "MiB", "GiB", "TiB"]; let i = 0;
  while (n >= 1000 && i < 4) { n /= 1024; i++; } return (i && n < 10 ? n.toFixed(1) : Math.round(n)) + " " + u[i]; };
// letters, digits, dot, dash and underscore are what a name may have here
const safe = n => { const at = (n + ".").indexOf("."), tidy = (s, bad) => s.normalize("NFKD").replace(/\p{M}+/gu, "").replace(bad, "-");
  const end = tidy(n.slice(at), /[^A-Za-z0-9._-]+/g).slice(-100), stem = tidy(n.slice(0, at), /[^A-Za-z0-9_-]+/g).replace(/^[-_]+|[-_]+$/g, "");
  return (stem.slice(0, 120 - end.length) || "data") + end; };
const other = n => { const at = n.indexOf("."), [a, b] = at < 0 ? [n, ""] : [n.slice(0, at), n.slice(at)];
  const m = a.match(/^(.*)-(\d+)$/); return (m ? m[1] + "-" + (+m[2] + 1) : a + "-2") + b; };
export default function ({ data, parentElement, setTriggerValue }) {
  const find = s => parentElement.querySelector(s), root = find(".drop"), words = data.words;
  const state = root.state ??= { queue: [], done: [] };
  for (const [place, text] of Object.entries(words.labels)) find(place).textContent = text;
  const show = part => { for (const p of [".rest", ".busy", ".clash"]) find(p).hidden = p !== part; };
  const told = text => { find(".told").textContent = text; };
  const next = () => {
    const job = state.queue.shift();
    if (job) return ask(job);
    show(".rest");
    if (state.done.length) setTriggerValue("done", state.done.splice(0));
  };
  const address = name => `/api/upload/${encodeURIComponent(name)}`;
  const leave = text => { next(); told(text); };
  const ask = async job => {
    show(".busy"); told(""); find(".what").textContent = job.name;
    try {
      const reply = await fetch(`${address(job.name)}?lang=${words.lang}`), answer = await reply.json();
      if (!reply.ok) return leave(answer.detail ?? words.cut);
      if (!answer.taken) return send(job);
    } catch { return leave(words.cut); }
    show(".clash"); told(words.taken.replace("{name}", job.name));
    find(".replace").onclick = () => send({ ...job, replace: true });
    find(".both").onclick = () => ask({ ...job, name: other(job.name) });
    find(".leave").onclick = () => leave("");
    find(".both").focus();
  };
  const send = ({ file, name, replace }) => {
    const request = state.request = new XMLHttpRequest(), began = performance.now();
    show(".busy"); told("");
    const progress = (sent, all) => {
      const part = all ? sent / all : 0, rate = sent / Math.max(.001, (performance.now() - began) / 1000);
      find(".bar").style.width = 100 * part + "%";
      find(".track").setAttribute("aria-valuenow", Math.round(100 * part));
      find(".what").textContent = `${name} · ${size(sent)} / ${size(all)} · ${size(rate)}/s`;
    };
    progress(0, file.size);
    request.upload.onprogress = e => progress(e.loaded, e.total);
    request.onload = () => {
      let answer = {};
      try { answer = JSON.parse(request.responseText); } catch { }
      if (request.status === 201) { state.done.push(answer.name); return next(); }
      leave(answer.detail ?? words.cut);
    };
    request.onerror = () => { state.queue = []; leave(words.cut); };
    request.onabort = () => { state.queue = []; leave(words.cancelled); };
    request.open("PUT", `${address(name)}?replace=${!!replace}&lang=${words.lang}`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.send(file);
  };
  const take = files => {
    state.queue.push(...[...files].map(file => ({ file, name: safe(file.name) })));
    if (!find(".rest").hidden) next();
  };
  find(".choose").onclick = () => find("input").click();
  find("input").onchange = e => { take(e.target.files); e.target.value = ""; };
  find(".cancel").onclick = () => state.request?.abort();
  root.ondragover = e => { e.preventDefault(); root.classList.add("over"); };
  root.ondragleave = () => root.classList.remove("over");
  root.ondrop = e => { e.preventDefault(); root.classList.remove("over"); take(e.dataTransfer.files); };
}
