import type { WorkflowDocument } from "../document/types";

/** A workflow of three nodes that runs as it is. */
export const STARTER: WorkflowDocument = {
  name: "My first workflow",
  nodes: [
    {
      id: "count",
      type: "counter",
      position: { x: 0, y: 0 },
      data: { label: "Count once a second", form: { interval: 1 }, config: {} },
    },
    {
      id: "double",
      type: "data-transformer",
      position: { x: 320, y: 0 },
      data: { label: "Double it", form: { fields: { doubled: "{{ data.value * 2 }}" } }, config: {} },
    },
    { id: "show", type: "debug", position: { x: 640, y: 0 }, data: { label: "Show it", form: {}, config: {} } },
  ],
  edges: [
    { id: "count-double", source: "count", target: "double", sourceHandle: null, targetHandle: null, condition: null },
    { id: "double-show", source: "double", target: "show", sourceHandle: null, targetHandle: null, condition: null },
  ],
};
