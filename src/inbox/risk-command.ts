/** What a command line risks, word by word. Every step is linear in its length: a hostile agent writes it. */

interface Rule {
  name: string;
  /** Programs that count wherever their name stands ... */
  anywhere?: RegExp;
  /** ... or only where a command begins, because the name is an everyday word too. */
  called?: RegExp;
  /** For each of these there must be a word that fits. */
  with?: readonly RegExp[];
}

/** One of these words, whole. */
const named = (words: string): RegExp => new RegExp(`^(?:${words.replaceAll(".", "\\.").split(" ").join("|")})$`);

const rules: readonly Rule[] = [
  {
    name: "administrator rights",
    anywhere: named("sudo doas pkexec setcap chown chroot nsenter unshare"),
    called: named("su mount umount"),
  },
  { name: "administrator rights", anywhere: named("chmod"), with: [/^(?:[0-7]?777|[2467][0-7]{3}|[ugoa]*\+[rwxX]*s)/] },
  { name: "deletes", anywhere: named("rm"), with: [/^(?:-[a-zA-Z]*[rRf]|--recursive$|--force$|--no-preserve-root$)/] },
  { name: "deletes", anywhere: named("shred mkfs wipefs fdisk"), called: named("dd truncate format del rd rmdir") },
  { name: "deletes", anywhere: named("find"), with: [/^-(?:delete|exec|execdir|ok)$/] },
  { name: "deletes", anywhere: named("remove-item") },
  { name: "deletes", with: [/^(?:drop|truncate)$/i, /^(?:table|database|schema)$/i] },
  {
    name: "rewrites history",
    anywhere: /^git$/,
    with: [/^push$/, /^(?:--force|--force-with-lease|--mirror|--delete|-[a-zA-Z]*[fd][a-zA-Z]*|\+.+)/],
  },
  { name: "rewrites history", anywhere: /^git$/, with: [/^reset$/, /^--hard$/] },
  { name: "rewrites history", anywhere: /^git$/, with: [/^clean$/, /^-[a-zA-Z]*[fdxX]/] },
  { name: "rewrites history", anywhere: /^git$/, with: [/^branch$/, /^-[a-zA-Z]*D/] },
  { name: "rewrites history", anywhere: /^git$/, with: [/^(?:filter-branch|filter-repo|update-ref|reflog|gc|prune)$/] },
  { name: "network", with: [/[a-z0-9]:\/\/./i] },
  { name: "network", with: [/^\d*[<>]*\/dev\/(?:tcp|udp)\//] },
  {
    name: "network",
    anywhere: named(
      "curl wget ncat netcat socat telnet ssh scp sftp ftp rsync aria2c nmap invoke-webrequest npx bunx uvx apt-get aptitude dnf yum apk pacman flatpak winget gh glab aws gcloud gsutil kubectl helm terraform tofu ansible ansible-playbook docker podman heroku vercel flyctl psql mysql mongo mongosh redis-cli sqlcmd",
    ),
    called: named("nc ping dig host nslookup http https xh apt brew snap choco az fly iwr"),
  },
  {
    name: "network",
    anywhere: /^git$/,
    with: [/^(?:push|pull|fetch|clone|ls-remote|submodule|remote)$/],
  },
  {
    name: "network",
    anywhere: named("npm pnpm yarn bun deno pip pip3 pipx poetry uv conda gem bundle cargo composer dotnet go"),
    with: [/^(?:install|i|ci|add|get|update|upgrade|download|publish|login|dlx|exec|sync|fetch|restore|audit|require)$/],
  },
  { name: "hidden commands", called: named("eval source .") },
  { name: "hidden commands", anywhere: named("base64 xxd openssl"), with: [/^(?:-d|-D|--decode|-r|enc)$/] },
  {
    name: "stops processes or the machine",
    anywhere: named("pkill killall shutdown reboot poweroff systemctl launchctl crontab schtasks"),
    called: named("kill halt service at"),
  },
  { name: "secrets", called: named("printenv history security") },
  { name: "outside the workspace", with: [/(?:^|[/=:,])\.\.(?:\/|$)/] },
];

/** What counts in a line as it stands: its brackets are a part of it. */
const lineRules: readonly { name: string; fits: RegExp }[] = [
  { name: "secrets", fits: /\$\{?\w*(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL)/i },
  { name: "outside the workspace", fits: /(?:^|[\s=:"'(<>,])~|\$\{?HOME\b/ },
];

/** In front of a command: what runs another one, and what only leads to it. */
const leaders = /^(?:env|xargs|nohup|time|nice|timeout|exec|command|builtin|then|do|else|if|while|until|sh|bash|zsh|dash|ksh|!)$/;

const interpreters = /^(?:ba|z|da|k|fi)?sh$|^(?:python|perl|ruby|node|php)[\d.]*$/;

/** The names of the rules that fit, each once. */
export function risksOfCommand(text: string): string[] {
  const found = new Set(lineRules.filter(({ fits: does }) => does.test(text)).map(({ name }) => name));
  let before = "";
  for (const [, part = "", operator = ""] of text.replaceAll("\\\n", " ").matchAll(/([^;&|\n\r()`{}]*)([;&|\n\r()`{}]?)/g)) {
    // Quotes and backslashes do not hide a word from the shell, so they do not here.
    const words = part
      .split(/\s+/)
      .map((word) => word.replaceAll(/["'\\]/g, ""))
      .filter((word) => word !== "");
    const programs = words.map((word) =>
      word
        .replace(/^[<>$]+/, "")
        .replace(/^.*\//, "")
        .replace(/\.exe$/i, "")
        .toLowerCase(),
    );
    const head = programs[headOf(words, programs)] ?? "";
    for (const rule of rules) if (fits(rule, { words, programs, head })) found.add(rule.name);
    if (before === "|" && interpreters.test(head === "" ? (programs[0] ?? "") : (programs.find((name) => interpreters.test(name)) ?? ""))) {
      found.add("hidden commands");
    }
    if (head === "" && /^(?:env|export|set)$/.test(programs.at(-1) ?? "")) found.add("secrets");
    else if (words.length === 1 && /^(?:env|export|set)$/.test(programs[0] ?? "")) found.add("secrets");
    if (words.length > 0 || operator !== "") before = operator;
  }
  return [...found];
}

/** Where the command itself stands, behind assignments, what leads to it and its flags. */
function headOf(words: string[], programs: string[]): number {
  let index = 0;
  let led = false;
  while (index < words.length) {
    const word = words[index] ?? "";
    if (leaders.test(programs[index] ?? "")) led = true;
    else if (!/^\w+=/.test(word) && !(led && /^(?:-|\d)/.test(word))) break;
    index += 1;
  }
  return index;
}

function fits(rule: Rule, command: { words: string[]; programs: string[]; head: string }): boolean {
  const { words, programs, head } = command;
  const isNamed =
    (rule.anywhere === undefined && rule.called === undefined) ||
    programs.some((name) => rule.anywhere?.test(name) === true) ||
    rule.called?.test(head) === true;
  return isNamed && (rule.with ?? []).every((wanted) => words.some((word) => wanted.test(word)));
}
