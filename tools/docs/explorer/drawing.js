// Draws the three forms of a block, and the plot of what was measured. Every figure comes from data.js.
"use strict";

const SVG = "http://www.w3.org/2000/svg";
// The drawing of a block: its size, the lanes of the paths, and where the shortcut runs.
const FORM = { width: 320, height: 306, left: 12, right: 262, shortcut: 296, box: 24, fork: 40, join: 268 };
const MIDDLE = (FORM.left + FORM.right) / 2;

function element(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function drawing(width, height, label) {
  const made = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  made.line = (...points) => made.append(element("polyline", { points: points.join(" "), class: "line" }));
  made.text = (x, y, text, kind = "") => made.append(element("text", { x, y, class: kind }, text));
  return made;
}

// How much of its lane a path takes: wider paths look wider. This is a picture, no measure.
function share(block) {
  return 0.2 + 0.65 * Math.min(1, Math.log2(1 + block.width) / 7);
}

class Form {
  constructor(block, label) {
    this.block = block;
    this.lane = (FORM.right - FORM.left) / block.cardinality;
    this.svg = drawing(FORM.width, FORM.height, label);
    this.svg.text(MIDDLE, 14, `${block.out} channels in`);
    this.svg.line([MIDDLE, 20], [MIDDLE, FORM.fork]);
  }

  // The middle of each path.
  get lanes() {
    return Array.from({ length: this.block.cardinality }, (_, i) => FORM.left + this.lane * (i + 0.5));
  }

  box(x, y, width, kind = "box") {
    const round = Math.min(4, width / 3);
    this.svg.append(element("rect", { x: x - width / 2, y, width, height: FORM.box, rx: round, class: kind }));
  }

  // One layer of every path, and what it is below.
  layerOfPaths(y, part, text) {
    for (const x of this.lanes) this.box(x, y, this.lane * part);
    this.svg.text(MIDDLE, y + FORM.box + 15, text, "layer");
  }

  // One layer of all channels; of several groups, one piece for each.
  layer(y, text, groups = 1) {
    const whole = (FORM.right - FORM.left) * (groups > 1 ? 1 : 0.94);
    const piece = whole / groups;
    for (let i = 0; i < groups; i++)
      this.box(MIDDLE - whole / 2 + piece * (i + 0.5), y, piece * (groups > 1 ? 0.85 : 1));
    this.svg.text(MIDDLE, y + FORM.box + 15, text, "layer");
  }

  fork(y) {
    const lanes = this.lanes;
    this.svg.line([lanes[0], FORM.fork], [lanes[lanes.length - 1], FORM.fork]);
    for (const x of lanes) this.svg.line([x, FORM.fork], [x, y]);
  }

  down(from, to) {
    for (const x of this.lanes) this.svg.line([x, from], [x, to]);
  }

  sum(y) {
    this.svg.append(element("circle", { cx: MIDDLE, cy: y, r: 9, class: "sum" }));
    this.svg.text(MIDDLE, y + 5, "+", "plus");
  }

  // The shortcut, and the sum that ends the block.
  finish(from) {
    const { shortcut, fork, join } = FORM;
    this.svg.line([MIDDLE, from], [MIDDLE, join - 9]);
    this.svg.line([MIDDLE, fork - 10], [shortcut, fork - 10], [shortcut, join], [MIDDLE + 9, join]);
    this.sum(join);
    this.svg.line([MIDDLE, join + 9], [MIDDLE, join + 18]);
    this.svg.text(MIDDLE, FORM.height - 4, `${this.block.out} channels out`);
    return this.svg;
  }
}

function times(block, text) {
  return block.cardinality === 1 ? text : `${block.cardinality} × (${text})`;
}

function drawBranches(block) {
  const { cardinality, width, out } = block;
  const form = new Form(block, `Form a: ${cardinality} paths of three layers, summed`);
  form.fork(50);
  form.down(50, 196);
  form.layerOfPaths(50, share(block), times(block, `1x1, ${out} → ${width}`));
  form.layerOfPaths(102, share(block), times(block, `3x3, ${width} → ${width}`));
  form.layerOfPaths(154, 0.85, times(block, `1x1, ${width} → ${out}`));
  for (const x of form.lanes) form.svg.line([x, 196], [MIDDLE, 222]);
  if (cardinality > 1) form.sum(226);
  return form.finish(cardinality > 1 ? 235 : 196);
}

function drawConcatenated(block) {
  const { cardinality, width, inner, out } = block;
  const form = new Form(block, `Form b: ${cardinality} paths of two layers, concatenated, then one layer`);
  form.fork(50);
  form.down(50, 154);
  form.layerOfPaths(50, share(block), times(block, `1x1, ${out} → ${width}`));
  form.layerOfPaths(102, share(block), times(block, `3x3, ${width} → ${width}`));
  form.box(MIDDLE, 154, FORM.right - FORM.left, "merge");
  form.svg.text(MIDDLE, 170, `concatenated: ${inner}`, "inside");
  form.svg.line([MIDDLE, 178], [MIDDLE, 204]);
  form.layer(204, `1x1, ${inner} → ${out}`);
  return form.finish(244);
}

function drawGrouped(block) {
  const { cardinality, inner, out } = block;
  const groups = cardinality > 1 ? `, ${cardinality} groups` : "";
  const form = new Form(block, `Form c: three layers, the middle one in ${cardinality} groups`);
  form.svg.line([MIDDLE, FORM.fork], [MIDDLE, 258]);
  form.layer(50, `1x1, ${out} → ${inner}`);
  form.layer(122, `3x3, ${inner} → ${inner}${groups}`, cardinality);
  form.layer(194, `1x1, ${inner} → ${out}`);
  return form.finish(244);
}

// Round numbers between two values, about `count` of them.
function ticks(low, high, count = 5) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough);
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high; i++) found.push(i * step);
  return found;
}

// Error against cost, `width` wide; `now` is the cost of the network above, which is marked if it lies in the plot.
function drawPlot(points, axis, title, now, show, width) {
  const size = { width, height: 340, left: 52, right: width - 16, top: 14, bottom: 288 };
  const costs = points.map((point) => point.cost[axis]);
  const reach = Math.max(Math.max(...costs) - Math.min(...costs), 0.02 * Math.max(...costs));
  const low = Math.min(...costs) - 0.12 * reach;
  const high = Math.max(...costs) + 0.12 * reach;
  const least = Math.min(...points.map((point) => point.error[1])) - 0.5;
  const most = Math.max(...points.map((point) => point.error[2])) + 0.5;
  const x = (cost) => size.left + ((cost - low) / (high - low)) * (size.right - size.left);
  const y = (error) => size.bottom - ((error - least) / (most - least)) * (size.bottom - size.top);
  const svg = drawing(size.width, size.height, `Error against ${title}; the table below has the figures`);
  for (const tick of ticks(low, high, width / 130)) {
    svg.append(element("line", { x1: x(tick), x2: x(tick), y1: size.top, y2: size.bottom, class: "grid" }));
    svg.text(x(tick), size.bottom + 18, show(tick));
  }
  for (const tick of ticks(least, most)) {
    svg.append(element("line", { x1: size.left, x2: size.right, y1: y(tick), y2: y(tick), class: "grid" }));
    svg.text(size.left - 8, y(tick) + 4, String(+tick.toFixed(2)), "end");
  }
  svg.text((size.left + size.right) / 2, size.height - 12, title);
  svg.append(element("text", { transform: `translate(13 ${(size.top + size.bottom) / 2}) rotate(-90)` }, "error, %"));
  if (now >= low && now <= high) {
    svg.append(element("line", { x1: x(now), x2: x(now), y1: size.top, y2: size.bottom, class: "now" }));
  }
  points.forEach((point, i) => {
    const [mean, from, to] = point.error;
    const at = x(point.cost[axis]);
    svg.append(element("line", { x1: at, x2: at, y1: y(from), y2: y(to), class: "interval" }));
    svg.append(element("circle", { cx: at, cy: y(mean), r: 10, class: "point" }));
    svg.text(at, y(mean) + 4, String(i + 1), "number");
  });
  return svg;
}
