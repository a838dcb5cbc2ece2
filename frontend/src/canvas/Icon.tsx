import { memo } from "react";

import { BOX, ICONS } from "./icons";

/** A decoration: what it stands for is said in words beside it. */
export const Icon = memo(function Icon({ name, size = 16 }: { name: string; size?: number }) {
  const Drawn = ICONS[name] ?? BOX;
  return <Drawn size={size} strokeWidth={1.9} aria-hidden focusable={false} />;
});
