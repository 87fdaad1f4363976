// What a node has to say: words, where it stands, the bar of its bytes, two pictures to compare. The front end draws
// the text of its own nodes only. Nothing of this is saved; after a reload the server is asked what was said before.
import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { budgetBar } from "./budget.js";
import { compareSlider } from "./compare.js";
import { addElement, element, keepEvents } from "./elements.js";
import "./load_bitstream.js"; // whose widget stands above this one

const NAME = "sedic said";
// Nodes that say something; those whose schema in Python says so.
const SPEAKERS = new Set(
  ["ReferenceEncode", "LMMTextualize", "GroundedSAM", "PackBitstream", "SaveBitstream", "LoadBitstream"]
    .concat(["UnpackBitstream", "ORAGSampler", "GlobalRestore", "QualityReport", "LoadFolder"])
    .map((name) => `SEDIC_${name}`),
);
// What makes a node grow, of words and of pictures; more is scrolled, or seen in a node that a person makes larger.
// Beside pictures the words are scrolled by themselves.
const FREE = { words: 200, compare: 240 };
const PLACED = { words: 92, compare: 160 }; // likewise where a graph says how large the node is and what lies below it

class Said {
  constructor(node) {
    this.node = node;
    this.most = FREE;
    this.standing = element("div", { className: "standing", hidden: true, attributes: { role: "status" } });
    this.choice = element("select", { className: "which", hidden: true, ariaLabel: "Which of the pictures" });
    this.choice.addEventListener("change", () => this.say(this.all[this.choice.selectedIndex]));
    this.bar = element("div", { className: "bar", hidden: true }); // above the words, which may be scrolled
    this.words = element("div", { className: "words", hidden: true });
    this.below = element("div", { className: "below", hidden: true });
    this.stack = element("div", { className: "stack" }, this.standing, this.choice, this.bar, this.words, this.below);
    this.box = element("div", { className: "sedic-said", hidden: true }, this.stack);
    keepEvents(this.box, "wheel", "dblclick");
    keepEvents(this.choice, "pointerdown", "pointermove", "pointerup");
    const room = { getMinHeight: () => this.height(), getMaxHeight: () => (this.silent ? 0 : undefined) };
    addElement(node, NAME, this.box, room);
    new ResizeObserver(() => this.grow()).observe(this.stack);
  }

  get silent() {
    return [this.standing, this.bar, this.words, this.below].every((part) => part.hidden);
  }

  // What it takes, in the canvas's own units; nodes made larger give it more.
  height() {
    if (this.silent) return 0;
    if (!this.stack.offsetHeight) return this.known ?? 40; // not drawn yet
    const above = [this.words, this.choice, this.bar].reduce((sum, part) => sum + part.offsetHeight, 0);
    const compares = this.box.classList.contains("compares");
    this.known = compares ? this.most.compare + above : Math.min(this.stack.offsetHeight + 16, this.most.words);
    return this.known;
  }

  // Of several pictures a node says something of each: one is shown, the others can be chosen.
  sayAll(all) {
    this.all = all;
    const options = all.map((_, place) => element("option", {}, `${place + 1} of ${all.length}`));
    this.choice.replaceChildren(...options);
    this.choice.hidden = all.length < 2;
    this.say(all[0]);
  }

  say({ text = "", parts = [], target = 0, compare = [] }) {
    this.words.textContent = text;
    this.words.hidden = !text;
    this.bar.replaceChildren(...(parts.length ? [budgetBar(parts, target)] : []));
    this.bar.hidden = !parts.length;
    this.below.replaceChildren(...(compare.length > 1 ? [compareSlider(compare)] : []));
    this.below.hidden = compare.length < 2;
    this.box.classList.toggle("compares", compare.length > 1);
    this.words.style.maxHeight = compare.length > 1 ? `${this.most.words}px` : "";
    this.box.hidden = this.silent;
  }

  stand(text) {
    this.standing.textContent = text;
    this.standing.hidden = !text;
    this.box.hidden = this.silent;
  }

  // Makes room, as soon as it is drawn; never takes any away that a person or a graph gave.
  grow() {
    this.box.style.setProperty("--sedic-wanted", `${this.height()}px`);
    if (window.LiteGraph?.vueNodesMode) {
      // There the document does; where it gives no share of the node's room, as that of 2025, what is wanted is all.
      const shared = getComputedStyle(this.box.parentElement ?? this.box).display.includes("flex");
      this.box.style.maxHeight = shared ? "" : "var(--sedic-wanted)";
      return;
    }
    const [width, height] = this.node.size;
    const needed = this.node.computeSize()[1];
    if (needed > height) this.node.setSize([width, needed]);
    this.node.setDirtyCanvas?.(true, true);
  }
}

const voices = new WeakMap();

function voice(node) {
  // A subgraph that is read from a file loses the widgets that it was made with.
  const there = node.widgets?.some((widget) => widget.name === NAME);
  if (!there || !voices.has(node)) voices.set(node, new Said(node));
  return voices.get(node);
}

function holdsSpeakers(node) {
  return everyNode(node.subgraph).some((inner) => SPEAKERS.has(inner.comfyClass));
}

// Shows what a node's output says, if anything.
export function speak(node, output) {
  const text = output?.text && [{ text: [output.text].flat().join("\n") }];
  const all = output?.sedic_said?.length ? output.sedic_said : text;
  if (!all) return;
  const silent = all.every((said) => !said.text && !said.parts?.length && !(said.compare?.length > 1));
  if (!silent || voices.has(node)) voice(node).sayAll(all);
}

// Shows where a running node stands; with no text, that it does not run.
export function stand(node, text) {
  if (text || voices.has(node)) voice(node).stand(text);
}

// The nodes from the outermost to the one itself that an id such as "12:5" names: subgraphs hold nodes.
export function path(id) {
  const found = [];
  let graph = app.rootGraph ?? app.graph;
  for (const part of String(id).split(":")) {
    const node = graph?.getNodeById(part) ?? graph?.getNodeById(Number(part));
    if (!node) return [];
    found.push(node);
    graph = node.subgraph;
  }
  return found;
}

function everyNode(graph) {
  return (graph?.nodes ?? []).flatMap((node) => [node, ...everyNode(node.subgraph)]);
}

// Asks the server what the nodes of this very graph said; of those named, or of all.
async function recall(ids) {
  if (!everyNode(app.rootGraph ?? app.graph).some((node) => node.comfyClass?.startsWith("SEDIC_"))) return;
  const { output } = await app.graphToPrompt();
  const answer = await api.fetchApi("/sedic/said", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ prompt: output }),
  });
  if (answer.status !== 200) return;
  for (const [id, said] of Object.entries(await answer.json())) {
    const node = path(id).at(-1);
    if (!node || (ids && !ids.includes(id))) continue;
    if (said.images) app.nodeOutputs[id] ??= said; // pictures that the front end draws by itself
    speak(node, said);
  }
}

app.registerExtension({
  name: "SEDIC.Said",
  setup() {
    // Cores of 2025 send nothing of nodes between whose results they kept.
    api.addEventListener("execution_cached", ({ detail }) => recall((detail.nodes ?? []).map(String)));
  },
  nodeCreated(node) {
    const speaks = SPEAKERS.has(node.comfyClass);
    // Nodes 2.0 of 2025 draws only the widgets that a node is made with.
    if (speaks || holdsSpeakers(node)) voice(node);
    if (!speaks) return;
    const configured = node.onConfigure;
    node.onConfigure = function (saved) {
      configured?.apply(this, arguments);
      if (saved?.size) voice(this).most = PLACED;
    };
    const before = node.onExecuted;
    node.onExecuted = function (output) {
      before?.apply(this, arguments);
      speak(this, output);
    };
  },
  afterConfigureGraph() {
    everyNode(app.rootGraph ?? app.graph).filter(holdsSpeakers).forEach(voice);
    recall();
  },
});
