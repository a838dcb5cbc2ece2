import { createRoot } from "react-dom/client";

import { App, start } from "./App";

start();
createRoot(document.getElementById("studio")!).render(<App />);
