"use strict";
// The page of `resnext serve`: images go to /predict one by one, some at a time; answers become cards and rows.

const AT_ONCE = 4; // requests under way
const TOP = 5; // classes of a card
const MAX_CARDS = 60; // of more images the table alone tells
const MAX_TRIES = 8; // of an image while the server is busy
const PREVIEW_PX = 640; // longer side of what is kept to be drawn
const HEAT = [[0, 0, 0], [120, 28, 109], [237, 105, 37], [252, 255, 164]];

const at = (id) => document.getElementById(id);
const make = (name, text, kind) => {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  if (kind) element.className = kind;
  return element;
};
const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)}\u00a0%`;
const pause = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

let models = [];
let known; // settles once `models` is there, or cannot be
let token = sessionStorage.getItem("token") || "";
let waiting = []; // entries that are not sent yet
let entries = []; // all images: {name, file, row, card, answer?, error?, preview?}
let underway = 0;
let round = 0; // counts how often everything was cleared
const opened = new Map(); // camera streams, to be stopped

// --- the server -----------------------------------------------------------------------------------------------

async function ask(path, options = {}) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const answer = await fetch(path, { ...options, headers: { ...headers, ...options.headers } }).catch(() => {
    throw new Error("The server cannot be reached.");
  });
  if (answer.status === 401) showLogin(token ? "This is not the token of the server." : "");
  return answer;
}

function showLogin(error) {
  at("login").hidden = false;
  at("give").hidden = true;
  at("login-error").textContent = error;
  at("token").focus();
}

async function loadModels() {
  const answer = await ask("/models");
  if (!answer.ok) return;
  models = await answer.json();
  at("login").hidden = true;
  at("give").hidden = false;
  const chosen = at("model").value;
  at("model").replaceChildren(...models.map((one) => new Option(one.name, one.name)));
  if (models.some((one) => one.name === chosen)) at("model").value = chosen;
  at("choice").hidden = models.length < 2;
  describe();
}

const model = () => models.find((one) => one.name === at("model").value) || models[0];

function describe() {
  const one = model();
  const classes = one.classes.length <= 12 ? `: ${one.classes.join(", ")}` : "";
  const count = `${one.classes.length} ${one.classes.length === 1 ? "class" : "classes"}`;
  at("about").textContent = `${one.name} (${one.architecture}, engine ${one.engine}) knows ${count}${classes}`;
  at("map-choice").hidden = !one.maps;
}

async function classify(entry) {
  await known;
  const used = model();
  const query = new URLSearchParams({ model: used.name, top: 1000, map: used.maps });
  for (let attempt = 1; ; attempt++) {
    const form = new FormData();
    form.append("images", entry.file, entry.name);
    const answer = await ask(`/predict?${query}`, { method: "POST", body: form });
    if (answer.status === 503 && attempt < MAX_TRIES) {
      await pause(Number(answer.headers.get("Retry-After")) || 1);
      continue;
    }
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.images?.[0]?.detail || said.detail);
    return { ...said, ...said.images[0], used };
  }
}

// --- images come, and are sent ----------------------------------------------------------------------------------

function add(files) {
  for (const file of files) {
    const entry = { name: file.name || "pasted image", file, row: make("tr"), card: make("li") };
    entry.row.hidden = entry.card.hidden = true; // its place among the others, until there is an answer
    at("rows").append(entry.row);
    at("cards").append(entry.card);
    entries.push(entry);
    waiting.push(entry);
  }
  if (!entries.length) return;
  at("results").hidden = false;
  at("many").hidden = entries.length < 2;
  while (underway < AT_ONCE && waiting.length) sendNext();
  tell();
}

async function sendNext() {
  const entry = waiting.shift();
  const began = round;
  underway += 1;
  try {
    const show = entries.indexOf(entry) < MAX_CARDS;
    const [answer, preview] = await Promise.all([classify(entry), show ? previewOf(entry.file) : null]);
    entry.answer = answer;
    entry.preview = preview;
  } catch (error) {
    entry.error = error.message;
  }
  entry.file = null;
  underway -= 1;
  if (began !== round) return;
  if (waiting.length) sendNext();
  addRow(entry);
  addCard(entry);
  tell();
}

function tell() {
  const done = entries.filter((one) => one.answer || one.error);
  const bad = done.filter((one) => one.error).length;
  const left = bad ? `, ${bad} of them could not be classified` : "";
  at("status").textContent = entries.length ? `${done.length} of ${entries.length} images done${left}` : "";
  at("download").disabled = !done.length;
}

async function previewOf(file) {
  try {
    const bitmap = await createImageBitmap(file);
    const shrink = Math.min(1, PREVIEW_PX / Math.max(bitmap.width, bitmap.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(bitmap.width * shrink));
    canvas.height = Math.max(1, Math.round(bitmap.height * shrink));
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    return canvas;
  } catch {
    return null; // a format that this browser does not draw
  }
}

// --- answers ----------------------------------------------------------------------------------------------------

const nameOf = (one) => (one.description ? `${one.label} (${one.description})` : one.label);
const setOf = (answer) => {
  if (!answer.set) return "";
  return answer.set.length ? answer.set.join(", ") : "no class";
};

function addCard(entry) {
  if (entries.indexOf(entry) >= MAX_CARDS) return;
  const card = at("card").content.cloneNode(true).firstElementChild;
  const part = (selector) => card.querySelector(selector);
  part(".name").textContent = entry.name;
  const canvas = part("canvas");
  if (entry.error) {
    card.classList.add("bad");
    canvas.remove();
    part("h3").textContent = `Not classified: ${entry.error}`;
    entry.card.replaceWith(card);
    return;
  }
  const answer = entry.answer;
  part("h3").textContent = answer.rejected ? "None of these" : nameOf(answer.ranking[0]);
  part(".none").hidden = !answer.rejected;
  part(".none").textContent = "It looks too little like what the network has learnt. If it must be one of them:";
  for (const one of answer.ranking.slice(0, TOP)) {
    const bar = make("li");
    const track = make("div", undefined, "track");
    const fill = make("div", undefined, "fill");
    fill.style.width = `${100 * one.probability}%`;
    track.append(fill);
    bar.append(make("span", nameOf(one)), make("span", percent(one.probability), "share"), track);
    part(".bars").append(bar);
  }
  const coverage = answer.used.coverage;
  part(".set").textContent = answer.set
    ? `Prediction set (holds the class for ${percent(coverage, 0)} of images): ${setOf(answer)}`
    : "";
  part(".how").textContent = `${answer.model}, engine ${answer.engine}, ${answer.milliseconds.toFixed(1)} ms`;
  entry.canvas = canvas;
  draw(entry);
  entry.card.replaceWith(card);
}

function addRow(entry) {
  const row = make("tr");
  const head = make("th", entry.name);
  head.scope = "row";
  row.append(head);
  if (entry.error) {
    const reason = make("td", `not classified: ${entry.error}`);
    reason.colSpan = 3;
    row.append(reason);
  } else {
    const { answer } = entry;
    const label = `${answer.rejected ? "none of these: " : ""}${nameOf(answer.ranking[0])}`;
    row.append(...[label, percent(answer.probability), setOf(answer)].map((text) => make("td", text)));
  }
  entry.row.replaceWith(row);
}

// What the network saw: the square in the middle of the image; over it, where the evidence for the class lies.
function draw(entry) {
  const { canvas, preview, answer } = entry;
  if (!canvas) return;
  const says = `${entry.name}: ${answer.rejected ? "none of these" : answer.label}`;
  if (!preview) {
    canvas.hidden = true;
    return;
  }
  const context = canvas.getContext("2d");
  canvas.width = preview.width;
  canvas.height = preview.height;
  context.drawImage(preview, 0, 0);
  const shows = at("map").checked && answer.map;
  canvas.setAttribute("aria-label", shows ? `${says}, with the evidence for ${answer.label} over it` : says);
  if (!shows) return;
  const shorter = Math.min(preview.width, preview.height);
  const side = (shorter * answer.used.crop_px) / answer.used.shorter_px;
  const left = (preview.width - side) / 2;
  const top = (preview.height - side) / 2;
  context.fillStyle = "rgb(0 0 0 / 0.55)"; // what the network did not see
  context.fillRect(0, 0, preview.width, preview.height);
  context.drawImage(preview, left, top, side, side, left, top, side, side);
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  context.drawImage(heat(answer.map, Math.max(1, Math.round(side))), left, top, side, side);
}

// A class activation map as an image of `size` pixels a side, each of its points between its neighbours.
function heat(map, size) {
  const rows = map.length;
  const columns = map[0].length;
  const most = Math.max(1e-12, ...map.flat());
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = size;
  const context = canvas.getContext("2d");
  const image = context.createImageData(size, size);
  const between = (place, count) => {
    const exact = Math.min(count - 1, Math.max(0, ((place + 0.5) * count) / size - 0.5));
    const low = Math.floor(exact);
    return [low, Math.min(low + 1, count - 1), exact - low];
  };
  for (let y = 0; y < size; y++) {
    const [up, down, dy] = between(y, rows);
    for (let x = 0; x < size; x++) {
      const [left, right, dx] = between(x, columns);
      const value = (row) => Math.max(0, map[row][left]) * (1 - dx) + Math.max(0, map[row][right]) * dx;
      const level = (value(up) * (1 - dy) + value(down) * dy) / most;
      const exact = level * (HEAT.length - 1);
      const low = Math.min(HEAT.length - 2, Math.floor(exact));
      for (let channel = 0; channel < 3; channel++) {
        const colour = HEAT[low][channel] + (HEAT[low + 1][channel] - HEAT[low][channel]) * (exact - low);
        image.data[4 * (y * size + x) + channel] = colour;
      }
      image.data[4 * (y * size + x) + 3] = 255 * (0.25 + 0.5 * level);
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

// --- the table --------------------------------------------------------------------------------------------------

// A cell of a CSV file that no spreadsheet takes for a formula.
function cell(value) {
  const text = typeof value === "string" && /^\s*[=+@\-\uff1d\uff0b\uff20\uff0d]/.test(value) ? `'${value}` : `${value}`;
  return `"${text.replaceAll('"', '""')}"`;
}

function download() {
  const classes = model().classes;
  const lines = [["image", "label", "probability", "rejected", "set", "model", "digest", "error", ...classes.map((name) => `p(${name})`)]];
  for (const { name, answer, error } of entries) {
    if (error) lines.push([name, "", "", "", "", "", "", error]);
    if (!answer) continue;
    const share = new Map(answer.ranking.map((one) => [one.label, one.probability]));
    lines.push([
      name, answer.label, answer.probability, answer.rejected, setOf(answer), answer.model, answer.digest, "",
      ...classes.map((one) => share.get(one) ?? ""),
    ]);
  }
  const text = lines.map((line) => line.map(cell).join(",")).join("\r\n");
  const link = make("a");
  link.href = URL.createObjectURL(new Blob(["\ufeff", text, "\r\n"], { type: "text/csv;charset=utf-8" }));
  link.download = "answers.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function clear() {
  round += 1;
  entries = [];
  waiting = [];
  at("cards").replaceChildren();
  at("rows").replaceChildren();
  at("results").hidden = true;
  tell();
  at("files").focus();
}

// --- the camera -------------------------------------------------------------------------------------------------

async function openCamera() {
  at("camera-error").textContent = "";
  at("camera-dialog").showModal();
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    if (!at("camera-dialog").open) return stop(stream);
    opened.set("camera", stream);
    at("video").srcObject = stream;
    await at("video").play();
    at("shoot").disabled = false;
  } catch (error) {
    at("shoot").disabled = true;
    at("camera-error").textContent = `The camera cannot be used: ${error.message}`;
  }
}

const stop = (stream) => stream?.getTracks().forEach((track) => track.stop());

function closeCamera() {
  stop(opened.get("camera"));
  opened.delete("camera");
  at("video").srcObject = null;
  at("camera-dialog").close();
}

function shoot() {
  const video = at("video");
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob((blob) => {
    const number = entries.filter((one) => one.name.startsWith("photograph")).length + 1;
    add([new File([blob], `photograph ${number}.jpg`, { type: "image/jpeg" })]);
  }, "image/jpeg", 0.95);
  closeCamera();
}

// --- what people do -----------------------------------------------------------------------------------------------

const imagesIn = (transfer) => [...(transfer?.files || [])];

addEventListener("dragover", (event) => {
  event.preventDefault();
  at("drop").classList.add("over");
});
for (const end of ["dragleave", "drop"]) {
  addEventListener(end, () => at("drop").classList.remove("over"));
}
addEventListener("drop", (event) => {
  event.preventDefault();
  if (!at("give").hidden) add(imagesIn(event.dataTransfer));
});
addEventListener("paste", (event) => {
  if (!at("give").hidden && imagesIn(event.clipboardData).length) add(imagesIn(event.clipboardData));
});
at("files").addEventListener("change", (event) => {
  add([...event.target.files]);
  event.target.value = "";
});
at("map").addEventListener("change", () => entries.filter((one) => one.answer).forEach(draw));
at("model").addEventListener("change", describe);
at("download").addEventListener("click", download);
at("clear").addEventListener("click", clear);
at("camera").addEventListener("click", openCamera);
at("shoot").addEventListener("click", shoot);
at("camera-close").addEventListener("click", closeCamera);
at("camera-dialog").addEventListener("close", closeCamera);
at("login").addEventListener("submit", (event) => {
  event.preventDefault();
  token = at("token").value.trim();
  sessionStorage.setItem("token", token);
  known = loadModels();
});
at("camera").hidden = !navigator.mediaDevices?.getUserMedia; // browsers offer it to https and localhost only
known = loadModels();
known.catch((error) => {
  at("status").textContent = error.message;
});
