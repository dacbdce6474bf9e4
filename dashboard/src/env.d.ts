declare module "virtual:routes" {
  export const routes: readonly { name: string; kind: string; path?: string }[];
}

declare const __VERSION__: string;
