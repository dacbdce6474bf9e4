import type { Agent } from "../../../src/agents/agent.ts";
import { Ledger, type LedgerRow } from "../parts/ledger.tsx";
import { Money } from "../parts/money.tsx";
import { Plain } from "../parts/plain.tsx";
import { Tokens } from "../parts/tokens.tsx";
import { backendTitles, credentialsWords, kindWords, permissionsWords } from "./agent-words.ts";
import type { AgentCard } from "./agent-table.tsx";
import { DetectionMark } from "./detection-view.tsx";

/** The settings of an agent in plain words, and what was found on this machine. */
export function AgentFacts({ agent }: { agent: Agent }) {
  return <Ledger rows={factsOf(agent)} />;
}

function factsOf(agent: Agent): LedgerRow[] {
  const { settings, detection, backend } = agent;
  const { command, provider, model, fallbacks, env } = settings;
  const credentials = credentialsWords(settings.credentials, backend);
  const permissions = permissionsWords(settings.permissions, backend);
  const variables = Object.keys(env);
  return [
    { name: "kind", value: <Said title={kindWords(agent)} text={backendTitles[backend].text} /> },
    // What is not ready stands above, with what mends it.
    ...(detection.state === "ready" ? [{ name: "can be used", value: <DetectionMark state={detection.state} /> }] : []),
    ...(detection.path === null ? [] : [{ name: "program", value: <Mono text={detection.path} /> }]),
    ...(detection.version === null ? [] : [{ name: "version", value: <Mono text={detection.version} /> }]),
    ...(command === undefined ? [] : [{ name: "command", value: <Mono text={command.map(shown).join(" ")} /> }]),
    {
      name: "provider",
      value: provider === undefined ? <span className="t2">what its program is set to</span> : <Plain text={provider} />,
    },
    {
      name: "model",
      value:
        model === undefined ? (
          <span className="t2">{provider === undefined ? "what its program is set to" : "the provider's own"}</span>
        ) : (
          <Mono text={model} />
        ),
    },
    ...(fallbacks === undefined || fallbacks.length === 0
      ? []
      : [
          {
            name: "then",
            value: (
              <Mono
                text={fallbacks.map((next) => (next.model === undefined ? next.provider : `${next.provider}, ${next.model}`)).join("; ")}
              />
            ),
          },
        ]),
    { name: "credentials", value: <Said title={credentials.title} text={credentials.text} /> },
    { name: "to act", value: <Said title={permissions.title} text={permissions.text} /> },
    // Their values are nobody's business on a screen.
    ...(variables.length === 0 ? [] : [{ name: "variables", value: <Mono text={variables.join(", ")} /> }]),
  ];
}

/** So that it is seen where an argument ends. */
const shown = (word: string): string => (/^[\w./:=@{}+-]+$/.test(word) ? word : JSON.stringify(word));

function Said({ title, text }: { title: string; text: string }) {
  return (
    <>
      <Plain text={title} /> <span className="fact__why t3">{text}</span>
    </>
  );
}

function Mono({ text }: { text: string }) {
  return (
    <span className="mono s12">
      <Plain text={text} lines="mark" />
    </span>
  );
}

/** What it did lately. */
export function AgentWeek({ week }: { week: AgentCard["lastWeek"] }) {
  return (
    <Ledger
      rows={[
        { name: "done", value: <span className="num">{week.done.toLocaleString("en")}</span> },
        { name: "failed", value: <span className={week.failed > 0 ? "num c-fail" : "num"}>{week.failed.toLocaleString("en")}</span> },
        { name: "tokens", value: <Tokens n={week.tokens} /> },
        { name: "cost", value: <Money usd={week.costUsd} /> },
      ]}
    />
  );
}
