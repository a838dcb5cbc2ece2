import { useCallback } from "react";
import { useReactFlow, useStoreApi } from "@xyflow/react";

import { CARD_HEIGHT, CARD_WIDTH } from "../document/size";
import type { Point } from "../document/types";

/** Where a node goes that is to be in the middle of what is seen. */
export function useMiddle(): () => Point {
  const { getViewport } = useReactFlow();
  const store = useStoreApi();
  return useCallback(() => {
    const { width, height } = store.getState();
    const { x, y, zoom } = getViewport();
    return { x: (width / 2 - x) / zoom - CARD_WIDTH / 2, y: (height / 2 - y) / zoom - CARD_HEIGHT / 2 };
  }, [getViewport, store]);
}
