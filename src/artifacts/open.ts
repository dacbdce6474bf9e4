import type { ArtifactStore } from "./artifact.ts";
import { openDatabaseArtifacts } from "./database.ts";
import { openFileArtifacts } from "./files.ts";

/** Where the artifacts of a server are: beside its SQLite file, or in the PostgreSQL that it shares with other servers. */
export async function openArtifacts({ home, databaseUrl }: { home: string; databaseUrl: string | undefined }): Promise<ArtifactStore> {
  return databaseUrl === undefined ? await openFileArtifacts(home) : openDatabaseArtifacts({ url: databaseUrl });
}
