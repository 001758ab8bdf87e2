// Small charts in SVG; each says in words what it shows.

function plot(label, width, height, ...children) {
  return s("svg", { viewBox: `0 0 ${width} ${height}`, class: `chart ${width < 300 ? "small" : width < 400 ? "medium" : ""}`, role: "img", "aria-label": label },
    children);
}

const svgText = (x, y, text, anchor = "start", more = "") =>
  s("text", { x, y, "text-anchor": anchor, class: `tick ${more}` }, text);

// How often the activation falls into each part of its range.
function histogram(d) {
  const bins = d.histogram;
  if (!bins.length) return h("p", {}, NOT_MEASURED());
  const [W, H, LEFT, FOOT] = [360, 130, 40, 24];
  const most = Math.max(...bins, 1);
  const step = (W - LEFT - 8) / bins.length;
  const total = bins.reduce((a, b) => a + b, 0);
  const bars = bins.map((count, i) => {
    const tall = count ? Math.max(1.5, (count / most) * (H - FOOT - 12)) : 0;
    return s("rect", { x: LEFT + i * step + 0.5, y: H - FOOT - tall, width: step - 1, height: tall, class: `fill ${d.side}` },
      s("title", {}, `${whole(count)} tokens from ${number((d.peak * i) / bins.length)} to ${number((d.peak * (i + 1)) / bins.length)}`));
  });
  const label = `Histogram of the activation where it fires: ${plural(total, "token")}, from 0 to ${number(d.peak)}, ${whole(most)} in the fullest of ${bins.length} bins`;
  return plot(label, W, H, bars,
    s("line", { x1: LEFT, y1: H - FOOT, x2: W - 8, y2: H - FOOT, class: "axis" }),
    svgText(LEFT, H - 8, "0"), svgText(W - 8, H - 8, number(d.peak), "end"),
    svgText((W + LEFT) / 2, H - 8, "activation", "middle"),
    svgText(LEFT - 6, 14, whole(most), "end"), svgText(LEFT - 6, H - FOOT, "0", "end"));
}

// The loss of each dictionary over its training, on a logarithmic scale.
function lossCurves(training) {
  const curves = training.loss.map((c) => c.filter((v) => v > 0)).filter((c) => c.length > 1);
  if (!curves.length) return h("p", {}, "Training curve: ", NOT_MEASURED());
  const [W, H, LEFT, FOOT] = [560, 200, 52, 26];
  const all = curves.flat().map(Math.log10);
  const low = Math.min(...all);
  const high = Math.max(...all, low + 0.01);
  const y = (v) => 10 + (1 - (Math.log10(v) - low) / (high - low)) * (H - FOOT - 20);
  const lines = curves.map((curve, i) => {
    const points = curve.map((v, at) => `${(LEFT + (at / (curve.length - 1)) * (W - LEFT - 10)).toFixed(1)},${y(v).toFixed(1)}`);
    return s("polyline", { points: points.join(" "), class: `loss loss-${i % 4}`, fill: "none" });
  });
  const ends = curves.map((c) => number(c[c.length - 1])).join(", ");
  return plot(`Training loss over ${whole(training.steps)} steps, logarithmic scale; at the end ${ends}`, W, H,
    s("line", { x1: LEFT, y1: H - FOOT, x2: W - 10, y2: H - FOOT, class: "axis" }),
    s("line", { x1: LEFT, y1: 10, x2: LEFT, y2: H - FOOT, class: "axis" }), lines,
    svgText(LEFT - 6, 18, number(10 ** high), "end"), svgText(LEFT - 6, H - FOOT, number(10 ** low), "end"),
    svgText(LEFT, H - 8, "0"), svgText(W - 10, H - 8, `${whole(training.steps)} steps`, "end"),
    svgText((W + LEFT) / 2, H - 8, "loss while training", "middle"));
}

// A share from 0 to 1 as a bar with its number.
function share(value, cls = "") {
  const width = Math.max(0, Math.min(1, value)) * 100;
  return h("span", { class: `share ${cls}` },
    h("span", { class: "bar", "aria-hidden": "true", "--w": `${width}%` }), h("span", {}, percent(value)));
}

// Where in a text it fires: one bar for each tenth.
function positions(values, side) {
  const most = Math.max(...values, 1e-9);
  const [W, H] = [240, 60];
  const step = W / values.length;
  const bars = values.map((v, i) => s("rect", { x: i * step + 1, y: H - 14 - (v / most) * (H - 18), width: step - 2, height: (v / most) * (H - 18), class: `fill ${side}` },
    s("title", {}, `part ${i + 1} of ${values.length}: ${percent(v)}`)));
  const words = values.map((v) => percent(v)).join(", ");
  return plot(`Where in the pieces of text it fires, from beginning to end: ${words}`, W, H, bars,
    s("line", { x1: 0, y1: H - 14, x2: W, y2: H - 14, class: "axis" }),
    svgText(0, H - 3, "beginning"), svgText(W, H - 3, "end", "end"));
}
