import { Ellipsis, RotateCw, Search } from "lucide-react";
import { useState } from "react";
import { Button } from "../button.tsx";
import { Checkbox } from "../checkbox.tsx";
import { HoldButton } from "../hold-button.tsx";
import { IconButton } from "../icon-button.tsx";
import { RadioCards } from "../radio-cards.tsx";
import { Segments } from "../segments.tsx";
import { Select } from "../select.tsx";
import { Switch } from "../switch.tsx";
import { Tabs } from "../tabs.tsx";
import { TextArea } from "../text-area.tsx";
import { TextField } from "../text-field.tsx";
import { Part } from "./part.tsx";

/** Buttons, segments, tabs. */
export function Controls() {
  const [lens, setLens] = useState<"tree" | "grid" | "table">("tree");
  const [tab, setTab] = useState<"diff" | "log" | "checks">("diff");
  const kinds = ["primary", "plain", "quiet", "danger"] as const;
  return (
    <Part title="Buttons" text="At most one primary on a screen. Danger stays outlined. What is off says why.">
      {kinds.map((kind) => (
        <div key={kind} className="flex flex--wrap">
          <Button kind={kind}>Default</Button>
          <Button kind={kind} icon={RotateCw} keys="R">
            With icon
          </Button>
          <Button kind={kind} busy>
            Saving
          </Button>
          <Button kind={kind} disabledReason="two checks are open">
            Disabled
          </Button>
        </div>
      ))}
      <div className="flex">
        <HoldButton onHeld={() => undefined}>Hold to allow once</HoldButton>
        <Button kind="danger" large>
          Reject
        </Button>
        <IconButton icon={RotateCw} label="Retry" kind="plain" />
        <IconButton icon={Ellipsis} label="More actions" />
      </div>
      <Segments
        label="Lens"
        value={lens}
        onChange={setLens}
        segments={[
          { value: "tree", title: "Tree", keys: "1" },
          { value: "grid", title: "Grid", keys: "2" },
          { value: "table", title: "Table", count: 1_000 },
        ]}
      />
      <Tabs
        label="Task"
        value={tab}
        onChange={setTab}
        tabs={[
          { value: "diff", title: "Diff", content: <p>what changed</p> },
          { value: "log", title: "Log", count: 620, content: <p>what was said</p> },
          { value: "checks", title: "Checks", count: "6/8", content: <p>what passed</p> },
        ]}
      />
    </Part>
  );
}

export function Fields() {
  const [text, setText] = useState("tutti/T-1487");
  const [on, setOn] = useState(true);
  const [scope, setScope] = useState<"once" | "session" | "project">("once");
  const [state, setState] = useState<"all" | "failed">("all");
  return (
    <Part title="Inputs" text="Label above, help below, origin shown when it is not yours to change.">
      <div className="gallery__two">
        <TextField label="Branch" value={text} onChange={setText} mono />
        <TextField label="Filter" value="" placeholder="Filter" icon={Search} keys="/" labelHidden={false} />
        <TextField label="Daily limit" value="-20" error="must be 0 or more, in dollars" />
        <TextField label="Port" value="7420" readOnly hint="from the environment: TUTTI_PORT" />
        <Select
          label="State"
          value={state}
          onChange={setState}
          options={[
            { value: "all", label: "all states" },
            { value: "failed", label: "failed" },
          ]}
        />
        <TextArea label="Prompt" value={text} onChange={setText} hint="⌘Enter sends it" />
      </div>
      <div className="flex flex--wrap">
        <Checkbox checked={!on} onChange={(next) => setOn(!next)}>
          off
        </Checkbox>
        <Checkbox checked={on} onChange={setOn}>
          on
        </Checkbox>
        <Switch checked={!on} onChange={(next) => setOn(!next)}>
          off
        </Switch>
        <Switch checked={on} onChange={setOn}>
          on
        </Switch>
        <Switch checked={false} disabled onChange={setOn}>
          not yours
        </Switch>
      </div>
      <RadioCards
        label="Allow it for"
        value={scope}
        onChange={setScope}
        columns={2}
        cards={[
          { value: "once", title: "Once", text: "this exact command, this attempt", keys: "1" },
          { value: "session", title: "This session", text: "same file and database, until T-1492 ends", keys: "2" },
          {
            value: "project",
            title: "This project, or a rule",
            disabledReason: "not offered, because high risk is always asked one by one",
          },
        ]}
      />
    </Part>
  );
}
