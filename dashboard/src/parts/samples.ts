/** Texts as agents and programs write them, also the hostile ones: for the gallery and for tests. */

export const hostileName = "invoice\u202efdp.exe\u200b";

export const ansiSample = [
  "> node --test",
  "compiling 10 %\rcompiling 55 %\rcompiling 100 %",
  "\u001b[31m✖ a retry returns the first charge\u001b[0m (212 ms)",
  "\u001b[32mpass 411\u001b[0m  \u001b[31mfail 1\u001b[0m  \u001b[33mskipped 0\u001b[0m",
  "\u001b[1;38;2;255;40;40;48;5;22mred on green, as asked\u001b[0m",
  "\u001b]0;you have been owned\u0007a title is not set, \u001b]52;c;cm0gLXJmIC8=\u0007the clipboard is not written",
  "\u001b[2J\u001b[1;1Hthe screen is not cleared",
  `a name that lies: ${hostileName}`,
].join("\n");

export const markdownSample = `## What I did

The key is derived from **cart id** and *total*, valid for ten minutes. See [the guide](https://stripe.com/docs/idempotency) and
[task T-1487](/tasks/T-1487); mail [Mara](mailto:mara@halden.example).

1. wrote a failing test in \`charge.test.ts\`
2. took the key from the client
   - without one, a key per minute
3. let the database decide who is first

> The old app keeps working.

\`\`\`ts
const mine = await payments.insertOnce(key, cart.id);
if (!mine.first) return payments.settled(mine.id);
\`\`\`

Hostile: [click](javascript:alert(1)), [plain](http://evil.example/x), [bank](https://bank.example@evil.example/),
![tracker](https://evil.example/pixel.png?who=you), <img src=x onerror=alert(1)>, ${hostileName}
`;

export const diffSample = `diff --git a/src/checkout/charge.ts b/src/checkout/charge.ts
index 4c1e7aa..9d0b2c1 100644
--- a/src/checkout/charge.ts
+++ b/src/checkout/charge.ts
@@ -41,7 +41,10 @@ export interface ChargeKey {
 export async function charge(cart: Cart, key: ChargeKey) {
-  const open = await payments.findOpen(cart.id);
-  if (open) return open;
-  const paid = await gateway.charge(cart.total);
+  const mine = await payments.findOpen(key, cart.id);
+  if (!mine.first) return payments.settled(mine.id);
+  const paid = await gateway.charge(cart.total, {
+    idempotencyKey: key.value,
+    timeoutMs: 8_000,
+  });
   await payments.settle(mine.id, paid);
   return paid;
 }
@@ -110,4 +113,4 @@ export async function refund(id: PaymentId) {
 export async function refund(id: PaymentId) {
-  const row = await payments.find(id);
+  const row = await payments.settled(id);
   return gateway.refund(row.chargeId);
 }
diff --git a/src/checkout/key.ts b/src/checkout/key.ts
new file mode 100644
index 0000000..51c8ad2
--- /dev/null
+++ b/src/checkout/key.ts
@@ -0,0 +1,2 @@
+export const minutes = 10;
+export const hidden = "\u202e";
\\ No newline at end of file
diff --git a/old name.ts b/new name.ts
similarity index 92%
rename from old name.ts
rename to new name.ts
index 1..2 100644
--- a/old name.ts\t
+++ b/new name.ts\t
@@ -1 +1 @@
-const a = 1;
+const a = 2;
diff --git "a/r\\303\\251sum\\303\\251\\342\\200\\256.txt" "b/r\\303\\251sum\\303\\251\\342\\200\\256.txt"
deleted file mode 100644
index 3..0
--- "a/r\\303\\251sum\\303\\251\\342\\200\\256.txt"
+++ /dev/null
@@ -1 +0,0 @@
---- a/this is a line, no head
diff --git a/bin/run.sh b/bin/run.sh
old mode 100644
new mode 100755
diff --git a/logo.png b/logo.png
index 5..6 100644
Binary files a/logo.png and b/logo.png differ
diff --git a/package-lock.json b/package-lock.json
index 7..8 100644
--- a/package-lock.json
+++ b/package-lock.json
@@ -1,3 +1,2 @@
 {
-  "a": 1,
 }
`;
