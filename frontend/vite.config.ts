import { fileURLToPath } from "node:url";

import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// One script and one stylesheet with fixed names, which are committed: users have Python, perhaps no Node.
export default defineConfig({
  plugins: [react()],
  base: "./",
  resolve: {
    alias: { "@shared": fileURLToPath(new URL("../orchestrator/static/orchestrator", import.meta.url)) },
  },
  build: {
    outDir: process.env.STUDIO_OUT ?? "../orchestrator/static/orchestrator/studio",
    emptyOutDir: true,
    sourcemap: false,
    target: "es2022",
    rollupOptions: {
      input: "src/main.tsx",
      output: {
        entryFileNames: "studio.js",
        assetFileNames: "studio[extname]",
        codeSplitting: false,
      },
    },
  },
});
