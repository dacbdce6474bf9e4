import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";
import { entries } from "../src/commands.ts";
import { version } from "../src/version.ts";

/** Where the API's entries are, from the registry itself: the client in the browser needs no more of the server's code. */
function routes(): Plugin {
  const name = "virtual:routes";
  const list = entries.map((entry) => ({ name: entry.name, kind: entry.kind, path: "path" in entry ? entry.path : undefined }));
  return {
    name,
    resolveId: (id) => (id === name ? `\0${name}` : undefined),
    load: (id) => (id === `\0${name}` ? `export const routes = ${JSON.stringify(list)};` : undefined),
  };
}

export default defineConfig({
  plugins: [react(), routes()],
  define: { __VERSION__: JSON.stringify(version) },
  // The server puts each answer's own nonce there.
  html: { cspNonce: "__NONCE__" },
  build: {
    target: "es2023",
    // A font or picture as a data: address would be refused by the page's own policy.
    assetsInlineLimit: 0,
    sourcemap: false,
  },
});
