// Building the page: elements from plain values; text from outside only ever becomes text nodes.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name.startsWith("--")) node.style.setProperty(name, value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
  return node;
}

const h = (tag, props, ...children) => fill(document.createElement(tag), props, children);
const s = (tag, props, ...children) => fill(document.createElementNS(SVG, tag), props, children);

// Control, bidirectional and unassigned characters, but not the joiners that scripts are built with.
const HIDDEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Cs}\p{Zl}\p{Zp}]/gu;
const NAMED = { "\n": "⏎", "\t": "⇥", "\r": "\\r" };

function spelt(ch) {
  if (ch === "\u200c" || ch === "\u200d") return ch;
  const code = ch.codePointAt(0);
  return NAMED[ch] || (code < 256 ? "\\x" + code.toString(16).padStart(2, "0") : `\\u{${code.toString(16)}}`);
}

// Text on one line, every character of it visible.
const visible = (text) => text.replace(HIDDEN, spelt);

// The same as nodes; lines break where the text's own do.
function shown(text) {
  const nodes = [];
  let from = 0;
  for (const match of text.matchAll(HIDDEN)) {
    const ch = match[0];
    if (spelt(ch) === ch) continue;
    if (match.index > from) nodes.push(text.slice(from, match.index));
    nodes.push(h("span", { class: "ctl" }, spelt(ch)));
    if (ch === "\n") nodes.push("\n");
    from = match.index + ch.length;
  }
  nodes.push(text.slice(from));
  return nodes;
}

const cut = (text, length) => {
  const chars = Array.from(text);
  return chars.length > length ? chars.slice(0, length - 1).join("") + "…" : text;
};

// Numbers as people read them.
function number(value, digits = 3) {
  if (value === null || value === undefined || !isFinite(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e-4 && size < 1e6) return String(Number(value.toPrecision(digits)));
  return value.toExponential(digits - 1).replace(/\.?0*e/, "e").replace("e-", "e−").replace("e+", "e");
}
const percent = (share) => `${number(100 * share)} %`;
const whole = (count) => Number(count).toLocaleString("en-GB");
const plural = (count, noun) => `${whole(count)} ${noun}${count === 1 ? "" : "s"}`;
function duration(seconds) {
  if (seconds < 60) return `${number(seconds, 2)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const NOT_MEASURED = () => h("span", { class: "none" }, "not measured");

// [[name, value], …] as a list of facts.
const facts = (pairs, more = "") =>
  h("dl", { class: `facts ${more}` }, pairs.filter(Boolean).map(([name, value]) =>
    h("div", {}, h("dt", {}, name), h("dd", {}, value))));

function table(caption, headers, rows, props = {}) {
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", props,
      h("caption", { class: "quiet" }, caption),
      h("thead", {}, h("tr", {}, headers.map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map((cell, i) =>
        i ? h("td", {}, cell) : h("th", { scope: "row" }, cell)))))));
}

function section(title, ...children) {
  const id = "s-" + title.toLowerCase().replace(/[^a-z]+/g, "-");
  return h("section", { "aria-labelledby": id }, h("h2", { id }, title), children);
}
