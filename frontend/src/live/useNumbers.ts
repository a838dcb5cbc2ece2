import { useEffect, useRef } from "react";

import type { Numbers } from "./numbers";

/**
 * Paint a value whenever it changes, without a rendering by React: `paint` writes into the element
 * of the ref. It has to be a function that stays the same.
 */
export function useNumbers<T extends object, E extends Element>(
  numbers: Numbers<T>,
  key: string | undefined,
  paint: (element: E, value: T | undefined) => void,
) {
  const ref = useRef<E>(null);
  useEffect(() => {
    if (key === undefined) return;
    const show = () => ref.current && paint(ref.current, numbers.get(key));
    show();
    return numbers.subscribe(key, show);
  }, [numbers, key, paint]);
  return ref;
}
