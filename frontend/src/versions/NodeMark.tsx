// That a node is different in the version that it is compared with.

import { useMark } from "./marks";
import "./versions.css";

export function NodeMark({ id }: { id: string }) {
  const mark = useMark(id);
  if (!mark) return null;
  return (
    <span className="node-mark" data-mark={mark.kind}>
      {mark.text}
    </span>
  );
}
