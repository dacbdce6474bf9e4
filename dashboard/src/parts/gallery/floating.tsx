import { Copy, Ellipsis, Eye, GitMerge, RotateCw, Square } from "lucide-react";
import { useState } from "react";
import { Button } from "../button.tsx";
import { Dialog } from "../dialog.tsx";
import { HoldButton } from "../hold-button.tsx";
import { Markdown } from "../markdown.tsx";
import { Menu } from "../menu.tsx";
import { Popover } from "../popover.tsx";
import { markdownSample } from "../samples.ts";
import { Sheet } from "../sheet.tsx";
import { Status } from "../status.tsx";
import { TextField } from "../text-field.tsx";
import { useToast } from "../toasts.tsx";
import { Part } from "./part.tsx";

/** What opens over the page. */
export function Floating() {
  const [dialog, setDialog] = useState(false);
  const [sheet, setSheet] = useState(false);
  const toast = useToast();
  return (
    <Part title="Floating" text="Dialog, sheet, menu, popover, tooltip, toasts.">
      <div className="flex flex--wrap">
        <Button onClick={() => setDialog(true)}>Dialog</Button>
        <Button onClick={() => setSheet(true)}>Sheet</Button>
        <Menu
          trigger={<Button icon={Ellipsis}>Menu</Button>}
          items={[
            { label: "Retry from here", icon: RotateCw, keys: "R", onSelect: () => undefined },
            { label: "Copy as CLI", icon: Copy, keys: "y", onSelect: () => undefined },
            { label: "Merge", icon: GitMerge, disabledReason: "2 checks open", onSelect: () => undefined },
            "line",
            { label: "Stop task", icon: Square, keys: "S", danger: true, onSelect: () => undefined },
          ]}
        />
        <Popover trigger={<Button icon={Eye}>Popover</Button>} title="Legend">
          <p className="t2">Height is loudness.</p>
        </Popover>
        <Button
          onClick={() =>
            toast.show({
              title: "T-1487 merged into main",
              text: "Branch kept as ref for 30 days.",
              action: { label: "Undo", act: () => undefined },
            })
          }
        >
          Toast
        </Button>
        <Button
          onClick={() =>
            toast.fail({ message: "Could not start codex for T-142", why: "Installed but not signed in.", fix: ["codex login"] })
          }
        >
          Error toast
        </Button>
      </div>
      <Dialog
        open={dialog}
        onClose={() => setDialog(false)}
        title="Stop 158 agents in storefront/fixers?"
        actions={
          <>
            <Button onClick={() => setDialog(false)}>Keep running</Button>
            <Button kind="danger" disabledReason="type the name first">
              Stop 158 agents
            </Button>
          </>
        }
      >
        <p>112 are running. Branches are kept, $4.20 of unfinished work is lost.</p>
        <TextField label="Type the swarm's name to confirm" value="storefront/fix" mono />
      </Dialog>
      <Sheet
        open={sheet}
        onClose={() => setSheet(false)}
        title={<Status state="needs you" look="tag" />}
        actions={<HoldButton onHeld={() => setSheet(false)}>Hold to allow once</HoldButton>}
      >
        <div className="peek">
          <Markdown text={markdownSample} />
        </div>
      </Sheet>
    </Part>
  );
}
