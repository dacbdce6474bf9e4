import { readGemini } from "../streams/gemini.ts";
import { jsonFile, type HomeFile, type Preset, type PresetSession } from "./preset.ts";

const common = {
  program: "gemini",
  // Tried with 0.61.0.
  versions: { from: "0.50.0", below: "1.0.0" },
  install: "npm install -g @google/gemini-cli",
};

/** Its mode "default" asks over ACP; alone on a command line it offers the model no tool that would have to be asked for. */
const approval = ({ permissions }: PresetSession): string[] => ["--approval-mode", permissions === "auto" ? "yolo" : "default"];
const modelArgs = ({ broker, model }: PresetSession): string[] => {
  const name = broker?.model ?? model;
  return name ? ["--model", name] : [];
};

export const gemini: Preset = {
  proprietary: false,
  signIn: "gemini",
  login: [".gemini"],
  loginFiles: [".gemini/oauth_creds.json"],
  protocols: ["google"],
  acp: {
    ...common,
    asks: true,
    usage: false,
    prepare: (session) => ({ args: ["--acp", ...approval(session), ...modelArgs(session)], ...surroundings(session) }),
  },
  command: {
    ...common,
    asks: false,
    usage: true,
    read: readGemini,
    usageIsSum: false,
    prepare(session) {
      const args = ["--output-format", "stream-json", ...approval(session), ...modelArgs(session)];
      return { args: [...args, ...(session.resume ? ["--resume", session.resume] : [])], ...surroundings(session) };
    },
  },
};

function surroundings({ broker, permissions }: PresetSession): { env: Record<string, string>; files: HomeFile[] } {
  const env: Record<string, string> = {
    // Without trust it ignores approval modes. What a repository's own .gemini/settings.json could allow matters when a person wants
    // to be asked: an untrusted folder's settings are not read.
    GEMINI_CLI_TRUST_WORKSPACE: String(permissions === "auto"),
    GEMINI_CLI_NO_RELAUNCH: "true",
  };
  if (!broker) return { env, files: [] };
  const settings = {
    security: { auth: { selectedType: "gemini-api-key" } },
    privacy: { usageStatisticsEnabled: false },
    // It would try ten times, in growing pauses, before it tells of a limit.
    general: { disableAutoUpdate: true, disableUpdateNag: true, maxAttempts: 3 },
  };
  return {
    env: { ...env, GOOGLE_GEMINI_BASE_URL: broker.url, GEMINI_API_KEY: broker.token },
    files: [jsonFile(".gemini/settings.json", settings)],
  };
}
