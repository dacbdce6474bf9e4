import { readClaude } from "../streams/claude.ts";
import { jsonFile, type HomeFile, type Preset, type PresetSession } from "./preset.ts";

const common = {
  program: "qwen",
  // Tried with 0.24.4.
  versions: { from: "0.20.0", below: "1.0.0" },
  install: "npm install -g @qwen-code/qwen-code",
};

const approval = ({ permissions }: PresetSession): string[] => ["--approval-mode", permissions === "auto" ? "yolo" : "default"];

export const qwen: Preset = {
  proprietary: false,
  signIn: "qwen",
  login: [".qwen"],
  loginFiles: [".qwen/oauth_creds.json", ".qwen/settings.json"],
  protocols: ["openai"],
  acp: {
    ...common,
    asks: true,
    usage: false,
    prepare: (session) => ({ args: ["--acp", ...approval(session)], ...surroundings(session) }),
  },
  command: {
    ...common,
    asks: false,
    usage: true,
    read: readClaude,
    usageIsSum: true,
    prepare(session) {
      const args = ["--output-format", "stream-json", ...approval(session)];
      const login = session.broker ? ["--auth-type", "openai"] : session.model ? ["--model", session.model] : [];
      return { args: [...args, ...login, ...(session.resume ? ["--resume", session.resume] : [])], ...surroundings(session) };
    },
  },
};

function surroundings({ broker }: PresetSession): { env: Record<string, string>; files: HomeFile[] } {
  const env: Record<string, string> = { QWEN_CODE_SUPPRESS_YOLO_WARNING: "1" };
  if (!broker) return { env, files: [] };
  const settings = {
    security: { auth: { selectedType: "openai" } },
    privacy: { usageStatisticsEnabled: false },
    general: { disableAutoUpdate: true, disableUpdateNag: true },
  };
  return {
    env: { ...env, OPENAI_BASE_URL: `${broker.url}/v1`, OPENAI_API_KEY: broker.token, OPENAI_MODEL: broker.model },
    files: [jsonFile(".qwen/settings.json", settings)],
  };
}
