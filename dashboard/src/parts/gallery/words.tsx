import { Plus, RotateCw, Search } from "lucide-react";
import { Ansi } from "../ansi.tsx";
import { Beam } from "../beam.tsx";
import { Button } from "../button.tsx";
import { Chip } from "../chip.tsx";
import { CodeBlock } from "../code-block.tsx";
import { Diff } from "../diff.tsx";
import { Empty } from "../empty.tsx";
import { Failure } from "../failure.tsx";
import { IconButton } from "../icon-button.tsx";
import { Loading } from "../loading.tsx";
import { Markdown } from "../markdown.tsx";
import { NoPermission } from "../no-permission.tsx";
import { Notice } from "../notice.tsx";
import { Panel, Section } from "../panel.tsx";
import { Plain } from "../plain.tsx";
import { ansiSample, diffSample, hostileName, markdownSample } from "../samples.ts";
import { Toolbar } from "../toolbar.tsx";
import { storefront } from "./marks.tsx";
import { Part } from "./part.tsx";

/** Notices and the three kinds of nothing. */
export function Words() {
  return (
    <>
      <Part title="Notices" text="Loading, error, no permission, a fault.">
        <Notice
          wide
          kind="fail"
          title="fix #7 failed:"
          action={
            <Button kind="primary" icon={RotateCw}>
              Retry #7
            </Button>
          }
        >
          check <code>npm test</code> exited 1 three times
        </Notice>
        <Notice kind="warn" title="Stale" action={<Button>Retry</Button>}>
          since 09:41, shown as it was.
        </Notice>
        <Notice>Demo data. Nothing here costs money.</Notice>
        <NoPermission>You can look but not approve here. Ask Mara for the scope “approve”.</NoPermission>
        <Failure
          error={{ message: "Could not load runs", why: "The server answered 503.", fix: ["tutti doctor"] }}
          retry={() => undefined}
        />
        <Panel title="Loading">
          <Loading label="Loading runs" />
        </Panel>
      </Part>
      <Part title="Empty" text="First use, filtered, all clear.">
        <Panel flush>
          <Empty
            kind="first"
            title="Let agents compete for one task"
            text="Give 2 to 8 candidates the same prompt."
            cli='tutti task create "fix the flaky test"'
            action={
              <Button kind="primary" icon={Plus}>
                Start
              </Button>
            }
          />
        </Panel>
        <Panel flush>
          <Empty kind="filtered" title="Nothing matches" text="agent: gemini hides 31 of 37 items." action={<Button>Clear agent</Button>} />
        </Panel>
        <Panel flush>
          <Empty kind="clear" title="All clear" text="618 agents are working.">
            <Beam counts={storefront} label="storefront" />
          </Empty>
        </Panel>
      </Part>
    </>
  );
}

export function Texts() {
  return (
    <>
      <Part title="Plain" text="What hides, moves or commands is seen.">
        <Panel title="A name">
          <Plain text={hostileName} />
        </Panel>
        <CodeBlock
          title="Exact command"
          facts="~/w/T-1492"
          text={`rm -rf build\u001b[2K\u200b && echo "${hostileName}" \\\n  --file migrations/0042_idempotency_key.sql`}
        />
        <Section title="Section" facts="620 lines" actions={<IconButton icon={Search} label="Find" />}>
          <Toolbar label="Filters" end={<Button>Group by project</Button>}>
            <Chip on>needs you</Chip>
          </Toolbar>
        </Section>
      </Part>
      <Part title="Output" text="Colours only, every other escape is gone.">
        <Ansi text={ansiSample} numbers />
        <Ansi text={ansiSample} />
      </Part>
      <Part title="Markdown" text="No HTML, no pictures, links with their host.">
        <Markdown text={markdownSample} />
      </Part>
    </>
  );
}

export function Diffs() {
  return (
    <Part title="Diff" text="Signs in the gutter; green and red or blue and orange." wide>
      <Panel flush>
        <Diff text={diffSample} />
      </Panel>
    </Part>
  );
}
