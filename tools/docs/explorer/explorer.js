// The explorer: what is chosen, and what is shown of it. Every figure comes from data.js.
"use strict";

const byId = (id) => document.getElementById(id);
const SLIDERS = ["depth", "cardinality", "width"];
const VALUES = { depth: "depths", cardinality: "cardinalities", width: "widths" };
const FORMS = { "form-a": drawBranches, "form-b": drawConcatenated, "form-c": drawGrouped };
const UNITS = [[1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""]];

// Four digits and a unit, as in 25.03 M.
function short(count) {
  const [size, unit] = UNITS.find(([one]) => count >= one) || [1, ""];
  const shown = size === 1 ? String(Math.round(count)) : String(Number((count / size).toPrecision(4)));
  return unit ? `${shown} ${unit}` : shown;
}

const family = () => EXPLORER.families[byId("family").value];
const place = () => SLIDERS.map((name) => Number(byId(name).value));
const network = () => {
  const [depth, cardinality, width] = place();
  return family().networks[depth][cardinality][width];
};

function row(...cells) {
  const made = document.createElement("tr");
  cells.forEach((cell, i) => {
    const one = document.createElement(i ? "td" : "th");
    if (!i) one.scope = "row";
    one.append(...[cell].flat());
    made.append(one);
  });
  return made;
}

function code(text) {
  const made = document.createElement("code");
  made.textContent = text;
  return made;
}

// A number with a bar beside it; `most` is the longest.
function bar(count, most) {
  const made = document.createElement("span");
  made.className = "bar";
  made.style.width = `${(100 * count) / most}%`;
  return [short(count), made];
}

function option(value, text) {
  const made = document.createElement("option");
  made.value = value;
  made.textContent = text;
  return made;
}

function fillSliders(start) {
  SLIDERS.forEach((name, i) => {
    const values = family()[VALUES[name]];
    byId(name).max = values.length - 1;
    byId(name).value = values.indexOf(start[i]);
  });
}

function showSliders() {
  const [depth, cardinality, width] = SLIDERS.map((name, i) => family()[VALUES[name]][place()[i]]);
  const paths = cardinality === 1 ? "1 path" : `${cardinality} paths`;
  const channels = width === 1 ? "1 channel" : `${width} channels`;
  const shown = { depth: `${depth} layers`, cardinality: paths, width: channels };
  for (const name of SLIDERS) {
    byId(`${name}-shown`).textContent = shown[name];
    byId(name).setAttribute("aria-valuetext", shown[name]);
  }
}

function showBlock() {
  const [, cardinality, width] = place();
  const { cardinalities, widths, blocks_of: blocks } = family();
  const block = {
    ...blocks[cardinality][width],
    cardinality: cardinalities[cardinality],
    width: widths[width],
  };
  byId("block-text").textContent =
    `One of the first stage. Its ${block.params.toLocaleString("en")} parameters are the same in all three ` +
    "forms, and with the same weights they compute the same.";
  for (const [id, draw] of Object.entries(FORMS)) byId(id).replaceChildren(draw(block));
}

function showCost() {
  const { name, cost, like } = network();
  const [likeName, likeWidth, params, macs] = like;
  const most = [Math.max(cost[0], params), Math.max(cost[1], macs)];
  byId("cost-text").textContent =
    `Beside it the ResNet of equal budget: as deep, with one path of ${likeWidth} channels, the width that ` +
    "comes nearest in multiply-adds.";
  byId("cost-rows").replaceChildren(
    row(code(name), bar(cost[0], most[0]), bar(cost[1], most[1])),
    row(code(likeName), bar(params, most[0]), bar(macs, most[1])),
  );
}

function showStages() {
  const { rows } = network();
  const [depth, cardinality, width] = place();
  const { layers } = family().blocks_of[cardinality][width];
  const { maps_px: maps, blocks, stem } = family();
  byId("stage-rows").replaceChildren(
    ...rows.map(([params, macs], i) => {
      const name = i === 0 ? "stem" : i === rows.length - 1 ? "head" : `stage ${i}`;
      const isStage = name.startsWith("stage");
      const texts = isStage ? layers[i - 1] : i === 0 ? stem : ["global average pool, linear"];
      const lines = texts.flatMap((text, n) => (n ? [document.createElement("br"), text] : [text]));
      const map = i < maps.length ? String(maps[i]) : "1";
      return row(name, map, lines, isStage ? String(blocks[depth][i - 1]) : "", short(params), short(macs));
    }),
  );
}

function showNetwork() {
  const { name, cost } = network();
  showSliders();
  byId("command").textContent = `resnext train IMAGES --model ${name}`;
  byId("said").textContent = `${name}: ${short(cost[0])} parameters, ${short(cost[1])} multiply-adds`;
  showBlock();
  showCost();
  showStages();
  showPlot();
}

// Where a network stands among the sliders: its family and its values.
function find(name) {
  for (const [number, one] of EXPLORER.families.entries())
    for (const [i, depth] of one.depths.entries())
      for (const [j, cardinality] of one.cardinalities.entries())
        for (const [k, width] of one.widths.entries())
          if (one.networks[i][j][k].name === name) return [number, [depth, cardinality, width]];
  return null;
}

function choose(name) {
  const found = find(name);
  if (!found) return false;
  byId("family").value = found[0];
  fillSliders(found[1]);
  showNetwork();
  return true;
}

function showButton(point) {
  if (!find(point.model)) return "";
  const made = document.createElement("button");
  made.type = "button";
  made.className = "show";
  made.textContent = "Show";
  made.setAttribute("aria-label", `Show ${point.model} above`);
  made.addEventListener("click", () => {
    choose(point.model);
    keep();
    byId("explorer").scrollIntoView();
    byId("depth").focus({ preventScroll: true });
  });
  return made;
}

function showStudy() {
  const study = EXPLORER.studies[byId("study").value];
  const intervals = ` Bars are intervals of ${study.confidence} %; a dashed line is the network above.`;
  byId("study-text").replaceChildren(`${study.setting}. Again by `, code(study.command), `.${intervals}`);
  byId("point-rows").replaceChildren(
    ...study.points.map((point, i) => {
      const [mean, low, high] = point.error.map((one) => one.toFixed(1));
      return row(
        `${i + 1}: ${point.arm}`,
        code(point.model),
        ...point.cost.map(short),
        `${mean} (${low} to ${high})`,
        String(point.runs),
        showButton(point),
      );
    }),
  );
  showPlot();
}

function showPlot() {
  const axis = byId("axis");
  const title = axis.selectedOptions[0].textContent;
  const { points } = EXPLORER.studies[byId("study").value];
  const width = Math.min(640, Math.max(300, byId("plot").clientWidth));
  const now = network().cost[axis.value];
  byId("plot").replaceChildren(drawPlot(points, axis.value, title, now, short, width));
}

// The network goes into the address, so that a link can be kept.
function keep() {
  try {
    history.replaceState(null, "", `#${network().name}`);
  } catch {
    // A browser may forbid it for files: then there is no link.
  }
}

async function copy() {
  const text = byId("command").textContent;
  const button = byId("copy");
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(byId("command"));
    button.textContent = document.execCommand("copy") ? "Copied" : "Press Ctrl+C";
  }
  byId("said").textContent = `${button.textContent}: ${text}`;
  setTimeout(() => (button.textContent = "Copy"), 2000);
}

function start() {
  byId("family").append(...EXPLORER.families.map((one, i) => option(i, one.title)));
  byId("study").append(...EXPLORER.studies.map((one, i) => option(i, one.name)));
  for (const name of SLIDERS) {
    byId(name).addEventListener("input", showNetwork);
    byId(name).addEventListener("change", keep);
  }
  byId("family").addEventListener("change", () => {
    fillSliders(family().start);
    showNetwork();
    keep();
  });
  byId("study").addEventListener("change", showStudy);
  byId("axis").addEventListener("change", showPlot);
  byId("copy").addEventListener("click", copy);
  window.addEventListener("resize", showPlot);
  for (const form of document.querySelectorAll(".explorer form"))
    form.addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("hashchange", () => choose(decodeURIComponent(location.hash.slice(1))));
  if (!choose(decodeURIComponent(location.hash.slice(1)))) {
    fillSliders(family().start);
    showNetwork();
  }
  showStudy();
}

start();
