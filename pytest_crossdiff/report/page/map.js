// The map: every difference by how exclusive and how strong it is.

const mapSize = () => (innerWidth < 700 ? { W: 400, H: 380, LEFT: 72, RIGHT: 14, TOP: 12, FOOT: 44 } : { W: 960, H: 460, LEFT: 72, RIGHT: 18, TOP: 14, FOOT: 44 });

function mapPoints() {
  const points = DIFFERENCES.map((d) => ({ id: d.id, d, side: d.side, x: d.exclusivity, y: d.strength, density: d.density, state: state(d), link: href("difference", d.id) }));
  return points.sort((a, b) => a.y - b.y); // the strongest on top
}

function shape(side, x, y, r) {
  const n = (v) => v.toFixed(1);
  if (side === "candidate") return `M${n(x - r)},${n(y)}a${n(r)},${n(r)} 0 1 0 ${n(2 * r)},0a${n(r)},${n(r)} 0 1 0 ${n(-2 * r)},0Z`;
  const w = r * 1.2;
  return `M${n(x)},${n(y - w)}L${n(x + w)},${n(y)}L${n(x)},${n(y + w)}L${n(x - w)},${n(y)}Z`;
}

function pointWords(p) {
  return `${p.d.id}: ${p.side} only, ${p.state}${p.d.kind === "rewritten" ? ", rewritten" : ""}, exclusivity ${number(p.x, 2)}, strength ${number(p.y)}, density ${percent(p.density)}; ${visible(p.d.sentence)}`;
}

function drawMap() {
  const points = mapPoints();
  const { W, H, LEFT, RIGHT, TOP, FOOT } = mapSize();
  const xs = points.map((p) => Math.max(-1, Math.min(1, p.x)));
  const x0 = Math.min(0, Math.floor(Math.min(...xs) * 5) / 5);
  const logs = points.filter((p) => p.y > 0).map((p) => Math.log10(p.y));
  const y1 = Math.ceil(logs.length ? Math.max(...logs) + 0.1 : 0);
  const least = logs.length < points.length ? -Infinity : Math.min(...logs);
  const y0 = Math.max(logs.length ? Math.floor(Math.min(...logs) - 0.1) : -4, y1 - 5);
  const px = (x) => LEFT + ((Math.max(x0, Math.min(1, x)) - x0) / (1 - x0)) * (W - LEFT - RIGHT);
  const py = (y) => TOP + (1 - (Math.max(y0, y > 0 ? Math.log10(y) : y0) - y0) / (y1 - y0)) * (H - TOP - FOOT);
  const densest = Math.max(...points.map((p) => p.density), 1e-9);
  const grid = [];
  for (let power = y0; power <= y1; power++) {
    const y = py(10 ** power);
    grid.push(s("line", { x1: LEFT, y1: y, x2: W - RIGHT, y2: y, class: "grid" }), svgText(LEFT - 8, y + 4, (power === y0 && least < y0 ? "≤ " : "") + number(10 ** power), "end"));
  }
  for (let x = x0; x <= 1.001; x += x0 < -0.4 ? 0.4 : 0.2) {
    grid.push(s("line", { x1: px(x), y1: TOP, x2: px(x), y2: H - FOOT, class: "grid" }), svgText(px(x), H - FOOT + 16, number(Math.round(x * 10) / 10), "middle"));
  }
  const level = Number((REPORT.settings.find((row) => row.name === "exclusivity") || {}).value);
  if (level > x0 && level < 1)
    grid.push(s("line", { x1: px(level), y1: TOP, x2: px(level), y2: H - FOOT, class: "threshold" }), svgText(px(level) - 6, TOP + 12, "exclusive →", "end"));
  const nodes = points.map((p, i) => {
    const r = 3 + 9 * Math.sqrt(p.density / densest);
    p.cx = px(p.x);
    p.cy = py(p.y);
    return s("path", { d: shape(p.side, p.cx, p.cy, r), class: `point ${p.side} ${p.state} ${p.d.kind}`, role: "option", id: `p${i}`, "aria-selected": "false", "aria-label": pointWords(p), "data-i": i });
  });
  const box = s("g", { role: "listbox", tabindex: "0", class: "points", "aria-label": `Map of ${plural(points.length, "difference")}. Arrow keys go from one to the next, Enter opens it.` }, nodes);
  const svg = s("svg", { viewBox: `0 0 ${W} ${H}`, class: "chart map" }, s("g", { "aria-hidden": "true" }, grid,
    svgText((W + LEFT) / 2, H - 6, "exclusivity: how much worse the other model predicts it", "middle", "name"),
    s("text", { transform: `translate(14 ${(H - FOOT) / 2}) rotate(-90)`, "text-anchor": "middle", class: "tick name" }, "strength")), box);
  steer(box, nodes, points);
  return h("figure", { class: "mapbox" }, svg, mapLegend());
}

// Keys, pointer and clicks on the map.
function steer(box, nodes, points) {
  const order = points.map((_, i) => i).sort((a, b) => points[b].y - points[a].y);
  let at = -1;
  const mark = (i) => {
    nodes.forEach((node) => node.classList.contains("active") && (node.classList.remove("active"), node.setAttribute("aria-selected", "false")));
    if (i < 0) return hideTip();
    nodes[i].classList.add("active");
    nodes[i].setAttribute("aria-selected", "true");
    showTip(nodes[i], points[i]);
  };
  const go = (step) => {
    at = Math.max(0, Math.min(order.length - 1, at + step));
    box.setAttribute("aria-activedescendant", `p${order[at]}`);
    mark(order[at]);
  };
  const keys = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -1e9, End: 1e9 };
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && at >= 0) location.hash = points[order[at]].link;
    else if (event.key === "Escape") mark(-1);
    else if (event.key in keys) go(keys[event.key]);
    else return;
    event.preventDefault();
  });
  box.addEventListener("focus", () => box.matches(":focus-visible") && go(at < 0 ? 1 : 0));
  box.addEventListener("blur", () => mark(-1));
  const of = (event) => (event.target.dataset.i === undefined ? -1 : Number(event.target.dataset.i));
  box.addEventListener("pointerover", (event) => mark(of(event)));
  box.addEventListener("pointerout", () => mark(-1));
  box.addEventListener("click", (event) => of(event) >= 0 && (location.hash = points[of(event)].link));
}

function showTip(node, p) {
  const tip = document.getElementById("tip");
  tip.replaceChildren(h("strong", {}, p.d.id), " ", sideChip(p.side), " ", stateChip(p.state),
    h("div", {}, `strength ${number(p.y)}, exclusivity ${number(p.x, 2)}, density ${percent(p.density)}`),
    h("div", { class: "tiptext" }, cut(p.d.label ? `${visible(p.d.label)} · ${p.d.fires}` : p.d.fires, 120)));
  tip.hidden = false;
  const box = node.getBoundingClientRect();
  const wide = Math.min(tip.offsetWidth, innerWidth - 16);
  tip.style.left = `${Math.max(8, Math.min(innerWidth - wide - 8, box.left + box.width / 2 - wide / 2)) + scrollX}px`;
  const above = box.top - tip.offsetHeight - 8;
  tip.style.top = `${(above > 4 ? above : box.bottom + 8) + scrollY}px`;
}

function hideTip() {
  document.getElementById("tip").hidden = true;
}

// Only what is on the map.
function mapLegend() {
  const sign = (side, word) => s("svg", { viewBox: "0 0 20 20", class: "sign", "aria-hidden": "true" },
    s("path", { d: shape(side, 10, 10, 6), class: `point ${side} ${word}` }));
  const item = (test, side, word, text) => DIFFERENCES.some(test) ? h("li", {}, sign(side, word), text) : null;
  const either = DIFFERENCES[0].side;
  return h("figcaption", {}, h("ul", { class: "legend" },
    SIDES.map((side) => item((d) => d.side === side, side, "confirmed", `only in the ${side} (${WHAT[side]})`)),
    item((d) => state(d) === "possible", either, "possible", "dashed: possible, not confirmed"),
    item((d) => state(d) === "accepted", either, "accepted", "hollow: accepted"),
    item((d) => d.kind === "rewritten", either, "confirmed rewritten", "outlined: the other model represents these tokens, but writes nothing similar there (rewritten)"),
    h("li", {}, "larger: on more tokens")));
}
