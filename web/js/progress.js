// Where a restoration stands, on the node that runs and on every subgraph that it lies in.
import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { path, stand } from "./said.js";

let standing = [];

function show(nodes, text) {
  for (const node of standing) if (!nodes.includes(node)) stand(node, "");
  for (const node of nodes) stand(node, text);
  standing = nodes;
}

app.registerExtension({
  name: "SEDIC.Progress",
  setup() {
    api.addEventListener("sedic.progress", ({ detail }) => show(path(detail.node), detail.text));
    for (const end of ["executed", "executing", "execution_success", "execution_error", "execution_interrupted"]) {
      api.addEventListener(end, () => show([], ""));
    }
  },
});
