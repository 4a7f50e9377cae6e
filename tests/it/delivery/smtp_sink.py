"""A mail server on loopback that keeps nothing: it prints its port, and then each message that it is offered as a
line of JSON. Its arguments are the codes with which it answers the first messages; after them it accepts. Of a
recipient whose address begins with "refused" it wants nothing, and of one with "busy" nothing the first time."""

import asyncio
import email.parser
import email.policy
import json
import sys

from aiosmtpd.smtp import SMTP

codes = sys.argv[1:]
busy = set()


class Sink:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("refused"):
            return "550 5.1.1 CANARYWORDS of the server"
        if address.startswith("busy") and address not in busy:
            busy.add(address)
            return "450 4.2.1 CANARYWORDS of the server"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = email.parser.BytesParser(policy=email.policy.default).parsebytes(envelope.content)
        code = codes.pop(0) if codes else "250"
        line = {
            "code": int(code),
            "to": envelope.rcpt_tos,
            "from": envelope.mail_from,
            "headers": {name.lower(): str(value) for name, value in message.items()},
            "parts": len(list(message.walk())),
            "text": message.get_body(("plain",)).get_content(),
            "html": message.get_body(("html",)) is not None,
            "files": [part.get_filename() for part in message.iter_attachments()] if message.is_multipart() else [],
        }
        print(json.dumps(line), flush=True)
        return code + " CANARYWORDS of the server"


async def main():
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(Sink()), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
