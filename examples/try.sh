# What `make run` does: a partner, a token to try the service with, and the service itself.
# HOST, PORT and BIN (where offer-ledger lies) come from the Makefile.
set -eu

"$BIN/offer-ledger" partners set tidepool --synchronize-per-day 0 --insert-per-hour 0 > /dev/null
"$BIN/offer-ledger" tokens revoke try > /dev/null 2>&1 || true
TOKEN=$("$BIN/offer-ledger" tokens create --role partner --partner tidepool --name try)

cat <<END

  Offer Ledger is starting at http://$HOST:$PORT (end it with Ctrl-C); its ledger lies in offer-ledger.db.

  A token of the partner "tidepool", to try it with:

      TOKEN=$TOKEN

  Send two offers, then look at them:

      curl -X POST http://$HOST:$PORT/api/v1/integrations/offer-providers/custom/offers \\
           -H "Authorization: ApiToken $TOKEN" -H "Content-Type: application/json" \\
           --data-binary @examples/batch-insert.json
      curl -H "Authorization: ApiToken $TOKEN" http://$HOST:$PORT/api/v1/offers

  Or look at them in a browser, at a console that sees what the token sees:

      http://$HOST:$PORT/console/sign-in#token=$TOKEN

  Or in another shell, on the same ledger:

      $BIN/offer-ledger inventory
      $BIN/offer-ledger history --external-id TP-1001

END
exec "$BIN/offer-ledger" serve --host "$HOST" --port "$PORT"
