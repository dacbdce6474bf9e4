// The first thing that runs on a fresh machine, under whatever Node is there: so this file only looks at the version, in a
// syntax that old ones can parse, and everything else waits behind the check.
const major = Number(process.versions.node.split(".")[0]);
if (major < 18) {
  console.error("Tutti is set up by Node 18 or newer (it then brings its own); this is Node " + process.versions.node + ".");
  console.error("Install a newer one (https://nodejs.org), then run the same command again.");
  process.exit(1);
}
void import("./setup/main.mjs").then(function (setup) {
  return setup.main(process.argv[2], process.argv.slice(3));
});
