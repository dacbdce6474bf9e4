#!/bin/sh
# `npm start`: sets up what is missing, then becomes the server. Arguments after `npm start --` are the server's.
exec sh "$(dirname "$0")/run.sh" start src/main.ts start "$@"
