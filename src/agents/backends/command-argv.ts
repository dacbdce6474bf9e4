const placeholder = "{prompt}";
/** Linux takes no longer argument than 128 KiB. */
const longestArgument = 120 * 1024;

/**
 * The prompt as one whole item, never as part of one and never through a shell. Refused is what a program would take for something
 * else: a prompt that begins with a dash is an option unless "--" stands before it.
 */
export function argvWith(argv: readonly string[], prompt: string): { argv: string[]; byStdin: boolean } | { refusal: string } {
  if (!argv.includes(placeholder)) return { argv: [...argv], byStdin: true };
  const byStdin = "leave {prompt} out of the command, then the prompt comes by stdin";
  if (prompt.includes("\0")) return { refusal: `the prompt holds a NUL, which no argument can; ${byStdin}` };
  if (Buffer.byteLength(prompt) > longestArgument) {
    return { refusal: `the prompt is longer than an argument may be (${longestArgument / 1024} KB); ${byStdin}` };
  }
  const isOption = prompt.startsWith("-") && argv.some((item, index) => item === placeholder && argv[index - 1] !== "--");
  if (isOption) return { refusal: `the prompt begins with "-" and would be taken for an option: put "--" before {prompt}, or ${byStdin}` };
  return { argv: argv.map((item) => (item === placeholder ? prompt : item)), byStdin: false };
}
