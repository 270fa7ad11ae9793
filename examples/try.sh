# `make run` executes this script: it registers a partner, creates a token, and starts the service.
# The Makefile sets HOST, PORT and BIN (the folder of the offer-ledger command).
#
# The token is stored in offer-ledger.token, which only its owner can read, and is reused as long as it works.
# If a service already answers at the address, the script changes nothing, reports that, and exits with 0.
# If another program uses the port, it exits with 1.
set -eu
case $PORT in
'' | 0* | *[!0-9]* | ??????*) is_port=no ;;
*) is_port=$([ "$PORT" -le 65535 ] && echo yes || echo no) ;;
esac
if [ "$is_port" = no ]; then
    echo "PORT must be a number from 1 to 65535, for example: make run PORT=8001" >&2
    exit 2
fi
case $HOST in
*:*) url=http://[$HOST]:$PORT ;; # an IPv6 address
*) url=http://$HOST:$PORT ;;
esac
token_file=offer-ledger.token

# Prints "service" if an Offer Ledger answers there, "other" if another program does, and "free" otherwise.
listener() {
    "$BIN/python" - "$HOST" "$PORT" <<'END'
import http.client, json, sys
from contextlib import closing

with closing(http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=10)) as connection:
    try:
        connection.connect()
    except OSError:
        print("free")
        sys.exit()
    try:
        connection.request("GET", "/healthz")
        answer = json.load(connection.getresponse())
        print("service" if answer["service"] == "offer-ledger" else "other")
    except (OSError, ValueError, LookupError, TypeError, http.client.HTTPException):
        print("other")
END
}

# Succeeds if the ledger knows the stored token and has not revoked it.
token_works() {
    test -s "$token_file" || return 1
    "$BIN/python" - "$token_file" <<'END'
import sys
from pathlib import Path

from api.dependencies.authentication import digest_secret, find_caller
from api.wiring import open_service

with open_service() as service:
    sys.exit(find_caller(service, digest_secret(Path(sys.argv[1]).read_text().strip())) is None)
END
}

case $(listener) in
service)
    echo
    echo "  Offer Ledger already runs at $url. Nothing was started or changed."
    echo
    if token_works; then
        echo "  If that service was started in this folder, the token in $token_file works:"
        echo
        echo "      curl -H \"Authorization: ApiToken \$(cat $token_file)\" $url/api/v1/offers"
    else
        echo "  The token in $token_file is missing or revoked. Stop the service and run make run again: it makes a new one."
    fi
    echo
    echo "  To stop the service, press Ctrl-C in its terminal. SQLite has one server for each ledger, so start another one in"
    echo "  another folder, with a free port: make run PORT=$((PORT + 1))"
    echo
    exit 0
    ;;
other)
    echo "Another program uses port $PORT. Nothing was started or changed. Choose a free port: make run PORT=$((PORT + 1))" >&2
    exit 1
    ;;
free) ;;
*)
    echo "Cannot check whether port $PORT is free: $BIN/python does not run." >&2
    exit 1
    ;;
esac

if ! token_works; then
    "$BIN/offer-ledger" partners set tidepool --synchronize-per-day 0 --insert-per-hour 0 > /dev/null
    "$BIN/offer-ledger" tokens revoke try > /dev/null 2>&1 || true
    (umask 077 && "$BIN/offer-ledger" tokens create --role partner --partner tidepool --name try > "$token_file.new")
    mv "$token_file.new" "$token_file"
fi
TOKEN=$(cat "$token_file")

cat <<END

  Offer Ledger starts at $url. Its ledger is ${OFFER_LEDGER_DATABASE_URL:-offer-ledger.db in this folder}. To stop the service, press Ctrl-C.

  This token belongs to the partner "tidepool". It is stored in $token_file and works after a restart, too:

      TOKEN=$TOKEN

  Send two offers, then list them:

      curl -X POST $url/api/v1/integrations/offer-providers/custom/offers \\
           -H "Authorization: ApiToken $TOKEN" -H "Content-Type: application/json" \\
           --data-binary @examples/batch-insert.json
      curl -H "Authorization: ApiToken $TOKEN" $url/api/v1/offers

  Open the console in a browser. This link signs in with the token:

      $url/console/sign-in#token=$TOKEN

  Use the command line in a second terminal, on the same ledger:

      $BIN/offer-ledger inventory
      $BIN/offer-ledger history --external-id TP-1001

END
exec "$BIN/offer-ledger" serve --host "$HOST" --port "$PORT"
