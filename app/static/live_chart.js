let loading;
function plotly() {
  if (window.Plotly) return Promise.resolve(window.Plotly);
  return loading ??= new Promise((done, fail) => {
    const script = document.createElement("script");
    script.src = "/vendor/plotly.min.js";
    script.onload = () => done(window.Plotly);
    script.onerror = () => { loading = undefined; fail(new Error("plotly.min.js")); };
    document.head.append(script);
  });
}

const faint = (colour, alpha) => {
  const n = parseInt(colour.slice(1, 7), 16);
  return `rgba(${n >> 16},${(n >> 8) & 255},${n & 255},${alpha})`;
};

function themed(fig, look) {
  const read = name => look.getPropertyValue(name).trim();
  const ink = read("--st-text-color"), line = read("--st-border-color"), surface = read("--st-background-color");
  const colours = read("--st-chart-categorical-colors").match(/#[0-9a-f]{6}/gi) ?? ["#0072b2"];
  for (const trace of fig.data) {
    const { part, colour } = trace.meta ?? {};
    if (!part) continue;
    const own = colours[colour % colours.length];
    if (part === "heat") {
      trace.colorscale = [[0, faint(own, 0.04)], [0.5, faint(own, 0.5)], [1, own]];
      trace.colorbar = { ...trace.colorbar, outlinewidth: 0, tickfont: { color: faint(ink, 0.75), size: 11 } };
      continue;
    }
    if (part === "band") trace.fillcolor = faint(own, 0.16);
    trace.line = { ...trace.line, color: part === "raw" ? faint(own, 0.38) : part === "line" ? own : "rgba(0,0,0,0)" };
    if (trace.marker) trace.marker = { ...trace.marker, color: own };
  }
  const soft = faint(ink, 0.72), marks = signed(fig.layout, ink, soft);
  const axis = { gridcolor: faint(ink, 0.09), zerolinecolor: faint(ink, 0.14), linecolor: line, tickfont: { color: soft, size: 11 },
                 spikecolor: faint(ink, 0.45), spikethickness: 1, spikedash: "solid", title: { font: { color: soft, size: 11 } } };
  const merge = own => ({ ...axis, ...own, title: { ...axis.title, ...own?.title } });
  return { ...fig.layout, ...marks, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: ink, family: read("--st-font"), size: 12 },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: faint(ink, 0.5), activecolor: ink },
    hoverlabel: { bgcolor: surface, bordercolor: line, font: { color: ink, family: read("--st-font"), size: 12 } },
    xaxis: merge(fig.layout.xaxis), yaxis: merge(fig.layout.yaxis) };
}

// Plotly wants the logarithm of an annotation's place on a log axis, and the plain value of a shape's.
function signed(layout, ink, soft) {
  const signs = layout.meta?.signs ?? [], log = layout.xaxis?.type === "log";
  const there = signs.filter(sign => !log || sign.x > 0);
  if (!there.length) return {};
  const shapes = there.map(sign => ({ type: "line", xref: "x", yref: "paper", x0: sign.x, x1: sign.x, y0: 0, y1: 1, layer: "below",
    line: { width: 1, dash: "dot", color: faint(ink, sign.quiet ? 0.16 : 0.5) } }));
  for (const sign of there) if (sign.until != null) shapes.push({ type: "rect", xref: "x", yref: "paper", x0: sign.x, x1: sign.until,
    y0: 0, y1: 1, layer: "below", line: { width: 0 }, fillcolor: faint(ink, 0.08) });
  const annotations = there.filter(sign => !sign.quiet).map(sign => ({ x: log ? Math.log10(sign.x) : sign.x, xref: "x", y: 1, yref: "paper",
    yanchor: "bottom", showarrow: false, text: sign.glyph, hovertext: sign.text, captureevents: true, font: { size: 11, color: soft } }));
  return { shapes, annotations };
}

// Plotly answers the mouse a moment later, and needs its node then.
function away(node) {
  node.watch.disconnect();
  node.watch = undefined;
  setTimeout(() => { if (!node.isConnected) window.Plotly?.purge(node); }, 1000);
}

// The observer is told, too, when a node is taken away; Plotly refuses to fit one that is not there.
function watch(node) {
  const observer = new ResizeObserver(() => {
    if (!node.isConnected) away(node);
    else if (node._fullLayout) window.Plotly?.Plots.resize(node);
  });
  observer.observe(node);
  return observer;
}

const BUTTONS = ["resetScale2d", "toImage"];

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".live-chart"), node = root.querySelector(".plot");
  root.querySelector(".name").textContent = data.title;
  root.querySelector(".head").title = data.hint ?? "";
  root.querySelector(".value").textContent = data.value ?? "";
  root.querySelector(".note").textContent = data.note ?? "";
  root.querySelector(".span").textContent = data.span ?? "";
  root.style.height = `${data.height}px`;
  node.setAttribute("role", "img");
  node.setAttribute("aria-label", [data.title, data.value, data.note].filter(Boolean).join(", "));
  node.axisName = data.axis;
  let gone = false;
  plotly().then(async Plotly => {
    if (gone) return;
    const fig = JSON.parse(data.figure), look = getComputedStyle(root);
    await Plotly.react(node, fig.data, themed(fig, look), {
      responsive: true, displaylogo: false, plotlyServerURL: "", modeBarButtons: [BUTTONS], doubleClick: "reset" });
    if (node.wired) return;
    node.wired = true;
    node.on("plotly_relayout", change => {
      if (change["xaxis.autorange"] || change.autosize) { if (change["xaxis.autorange"]) setStateValue("zoom", null); return; }
      const x = node._fullLayout.xaxis, range = x.type === "log" ? x.range.map(end => 10 ** end) : x.range;
      if ("xaxis.range[0]" in change || "xaxis.range" in change) setStateValue("zoom", { axis: node.axisName, range: [...range] });
    });
  }).catch(error => { root.querySelector(".note").textContent = String(error.message); });
  node.watch ??= watch(node);
  return () => {
    gone = true;
    if (!node.isConnected && node.watch) away(node);
  };
}
