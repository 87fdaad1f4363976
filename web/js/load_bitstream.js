// Load Bitstream takes a .sedic file from the person's disk, by a button or dropped on the node, or one of those that
// are there. One that is dropped on the canvas opens the decoding graph with it.
import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { addElement, element, keepEvents } from "./elements.js";

const NODE = "SEDIC_LoadBitstream";
const SUFFIX = ".sedic";
const GRAPH = "sedic_decode";
// The pack's folder, which everyone may name as they like, stands in this module's own address.
const FOLDER = new URL(import.meta.url).pathname.split("/extensions/")[1].split("/")[0];

const pickers = new Set();

function complain(detail) {
  app.extensionManager.toast.add({ severity: "error", summary: "SEDIC", detail, life: 8000 });
}

async function upload(file) {
  const form = new FormData();
  form.append("image", file); // ComfyUI's name for any file that goes into its input folder
  const answer = await api.fetchApi("/upload/image", { method: "POST", body: form });
  if (answer.status !== 200) {
    complain(`${file.name} was not uploaded: the server answered ${answer.status} ${answer.statusText}.`);
    return null;
  }
  const { name, subfolder } = await answer.json();
  refresh();
  return subfolder ? `${subfolder}/${name}` : name;
}

function setFile(node, name) {
  const widget = node.widgets.find((w) => w.name === "file");
  widget.value = name;
  widget.callback?.(name);
  node.setDirtyCanvas(true, true);
}

async function uploadInto(node, file) {
  const name = await upload(file);
  if (name) setFile(node, name);
}

function choose(node) {
  const input = element("input", { type: "file", accept: SUFFIX });
  input.onchange = () => input.files.length && uploadInto(node, input.files[0]);
  input.click();
}

async function refresh() {
  const answer = await api.fetchApi("/sedic/files");
  if (answer.status !== 200) return;
  const names = await answer.json();
  for (const picker of pickers) {
    const several = names.length === 1 ? "1 file is" : `${names.length} files are`;
    const told = names.length ? `${several} there …` : "no file is there yet";
    const options = names.map((name) => element("option", { value: name }, name));
    picker.replaceChildren(element("option", { value: "" }, told), ...options);
  }
}

function addPicker(node) {
  const told = `${SUFFIX} files in the input and output folders`;
  const picker = element("select", { title: told, ariaLabel: told });
  picker.addEventListener("change", () => {
    if (picker.value) setFile(node, picker.value);
    picker.value = "";
  });
  const button = element("button", { type: "button", title: `Choose a ${SUFFIX} file of your own` }, "upload");
  button.addEventListener("click", () => choose(node));
  const line = element("div", { className: "sedic-files" }, picker, button);
  keepEvents(line, "pointerdown", "pointermove", "pointerup", "dblclick");
  addElement(node, "files", line, { getMinHeight: () => 32, getMaxHeight: () => 32 });
  pickers.add(picker);
  const removed = node.onRemoved;
  node.onRemoved = function () {
    removed?.apply(this, arguments);
    pickers.delete(picker);
  };
  refresh();
}

function sedicFile(event) {
  return [...(event.dataTransfer?.files ?? [])].find((file) => file.name.toLowerCase().endsWith(SUFFIX));
}

function overLoader(event) {
  const drawn = event.target instanceof Element && event.target.closest("[data-node-id]");
  if (drawn) return app.canvas.graph?.getNodeById(drawn.dataset.nodeId)?.comfyClass === NODE;
  return app.dragOverNode?.comfyClass === NODE;
}

function loaders(graph) {
  return (graph?.nodes ?? []).flatMap((node) => (node.comfyClass === NODE ? [node] : loaders(node.subgraph)));
}

async function openWith(file) {
  const name = await upload(file);
  if (!name) return;
  const answer = await api.fetchApi(`/workflow_templates/${encodeURIComponent(FOLDER)}/${GRAPH}.json`);
  if (answer.status !== 200) {
    complain(`The graph ${GRAPH} is not there (${answer.status}); choose ${name} in a Load Bitstream node.`);
    return;
  }
  await app.loadGraphData(await answer.json(), true, true, file.name.slice(0, -SUFFIX.length));
  for (const node of loaders(app.rootGraph ?? app.graph)) setFile(node, name);
}

app.registerExtension({
  name: "SEDIC.LoadBitstream",
  setup() {
    // Before the front end's own listeners, which know no such file.
    const dropped = (event) => {
      const file = sedicFile(event);
      if (!file || overLoader(event)) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      openWith(file);
    };
    window.addEventListener("drop", dropped, true);
    api.addEventListener("executed", ({ detail }) => detail.output?.sedic && refresh());
  },
  nodeCreated(node) {
    if (node.comfyClass !== NODE) return;
    addPicker(node);
    node.onDragOver = (event) => [...(event.dataTransfer?.items ?? [])].some((item) => item.kind === "file");
    node.onDragDrop = (event) => {
      const file = sedicFile(event);
      if (file) uploadInto(node, file);
      return Boolean(file);
    };
  },
});
