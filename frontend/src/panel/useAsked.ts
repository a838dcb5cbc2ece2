import { useCallback, useEffect, useState } from "react";

import { ApiError } from "../api/client";

interface Asked<T> {
  value: T | null;
  error: ApiError | null;
  again(): void;
}

/** Ask the server, again when what is asked for changes, and every so often while the page is seen. */
export function useAsked<T>(ask: () => Promise<T>, everySeconds?: number): Asked<T> {
  const [value, setValue] = useState<T | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [count, setCount] = useState(0);
  const again = useCallback(() => setCount((before) => before + 1), []);
  useEffect(() => {
    let current = true;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = async () => {
      try {
        const found = await ask();
        if (!current) return;
        setValue(found);
        setError(null);
      } catch (failure) {
        if (current) setError(failure as ApiError);
      }
      if (current && everySeconds) timer = setTimeout(() => (document.hidden ? void wait() : void look()), everySeconds * 1000);
    };
    const wait = () => {
      timer = setTimeout(() => (document.hidden ? wait() : void look()), 1000);
    };
    void look();
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [ask, everySeconds, count]);
  return { value, error, again };
}
