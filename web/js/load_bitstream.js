// Load Bitstream takes a .sedic file from the person's disk: by a button, or dropped on the node.
import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";

const NODE = "SEDIC_LoadBitstream";
const SUFFIX = ".sedic";

async function upload(node, file) {
  const form = new FormData();
  form.append("image", file); // ComfyUI's name for any file that goes into its input folder
  const answer = await api.fetchApi("/upload/image", { method: "POST", body: form });
  if (answer.status !== 200) {
    const reason = `${file.name} was not uploaded: the server answered ${answer.status} ${answer.statusText}.`;
    app.extensionManager.toast.add({ severity: "error", summary: "SEDIC", detail: reason, life: 8000 });
    return;
  }
  const { name, subfolder } = await answer.json();
  const widget = node.widgets.find((w) => w.name === "file");
  widget.value = subfolder ? `${subfolder}/${name}` : name;
  widget.callback?.(widget.value);
  node.setDirtyCanvas(true, true);
}

function choose(node) {
  const input = document.createElement("input");
  input.type = "file";
  input.accept = SUFFIX;
  input.onchange = () => input.files.length && upload(node, input.files[0]);
  input.click();
}

app.registerExtension({
  name: "SEDIC.LoadBitstream",
  nodeCreated(node) {
    if (node.comfyClass !== NODE) return;
    const button = node.addWidget("button", `choose a ${SUFFIX} file`, null, () => choose(node), { serialize: false });
    button.serialize = false; // a saved workflow holds the name alone
    node.onDragOver = (event) => [...(event.dataTransfer?.items ?? [])].some((item) => item.kind === "file");
    node.onDragDrop = (event) => {
      const file = [...event.dataTransfer.files].find((f) => f.name.toLowerCase().endsWith(SUFFIX));
      if (file) upload(node, file);
      return Boolean(file);
    };
  },
});
