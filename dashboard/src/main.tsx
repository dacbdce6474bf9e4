import "./api/no-eval.ts";
import { CSPProvider } from "@base-ui/react/csp-provider";
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { queries } from "./api/client.ts";
import { enter, storedKey } from "./api/session.ts";
import { startLive } from "./live/live.ts";
import "./look/index.css";
import "./shell/page.css";
import { startKeys } from "./shell/keys.ts";
import { Locked } from "./shell/locked.tsx";
import { applyPreferences } from "./shell/preferences.ts";
import { router } from "./shell/router.tsx";

/** The nonce that the server gave this page, for the few styles that parts bring with them. */
const nonce = document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce;

async function start(): Promise<void> {
  applyPreferences();
  const root = createRoot(document.getElementById("root") ?? document.body);
  const problem = await enter();
  if (problem !== null || storedKey() === "") return root.render(<Locked problem={problem} />);
  startKeys();
  startLive();
  root.render(
    <StrictMode>
      <CSPProvider nonce={nonce}>
        <QueryClientProvider client={queries}>
          <RouterProvider router={router} />
        </QueryClientProvider>
      </CSPProvider>
    </StrictMode>,
  );
}

void start();
