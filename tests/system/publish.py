"""Publishes with confirms, many at once: pika's blocking channel waits for each."""
import pika

from broker import PERSISTENT


class Publishing:
    """
    Sends bodies, at most `window` unconfirmed. An iterator that ends ends the publishing; the numbers of what was
    confirmed and refused are in .confirmed and .nacked, returned messages in .returned, the reason why the
    connection ended in .ended. on_blocked(True or False) is called when the broker holds us back, or no longer; why it does
    is in .reasons.
    """

    def __init__(self, parameters, bodies, exchange="", key="", properties=PERSISTENT, window=500, mandatory=False,
                 on_blocked=None, reasons=None):
        self.parameters = parameters
        self.bodies = iter(bodies)
        self.exchange = exchange
        self.key = key
        self.properties = properties
        self.window = window
        self.mandatory = mandatory
        self.on_blocked = on_blocked
        self.reasons = [] if reasons is None else reasons
        self.sent = 0
        self.waiting = set()
        self.confirmed = set()
        self.nacked = set()
        self.returned = []
        self.done = False
        self.ended = None

    def run(self):
        connection = pika.SelectConnection(self.parameters, on_open_callback=self._on_open,
                                           on_open_error_callback=self._on_end, on_close_callback=self._on_end)
        if self.on_blocked:
            connection.add_on_connection_blocked_callback(self._on_blocked)
            connection.add_on_connection_unblocked_callback(lambda *_: self.on_blocked(False))
        connection.ioloop.start()
        return self

    def _on_blocked(self, _, frame):
        self.reasons.append(frame.method.reason)
        self.on_blocked(True)

    def _on_open(self, connection):
        connection.channel(on_open_callback=self._on_channel)

    def _on_end(self, connection, error):
        self.ended = error
        connection.ioloop.stop()

    def _on_channel(self, channel):
        channel.add_on_return_callback(lambda ch, method, properties, body: self.returned.append((method, body)))
        channel.add_on_close_callback(self._on_channel_end)
        channel.confirm_delivery(lambda frame: self._on_confirm(channel, frame.method))
        self._fill(channel)

    @staticmethod
    def _on_channel_end(channel, _):
        if channel.connection.is_open:
            channel.connection.close()

    def _on_confirm(self, channel, method):
        tags = {method.delivery_tag}
        if method.multiple:
            tags = {tag for tag in self.waiting if tag <= method.delivery_tag}
        self.waiting -= tags
        (self.confirmed if isinstance(method, pika.spec.Basic.Ack) else self.nacked).update(tags)
        self._fill(channel)

    def _fill(self, channel):
        while not self.done and len(self.waiting) < self.window:
            body = next(self.bodies, None)
            if body is None:
                self.done = True
                break
            self.sent += 1
            self.waiting.add(self.sent)
            channel.basic_publish(self.exchange, self.key, body, self.properties, self.mandatory)
        if self.done and not self.waiting and channel.is_open:
            channel.close()


def publish(broker, bodies, **options):
    """All of them, each confirmed, or an exception."""
    publishing = Publishing(broker.parameters(), bodies, **options).run()
    if publishing.nacked or publishing.waiting or not publishing.done:
        raise AssertionError("%d of %d messages were not confirmed, %d refused: %r" %
                             (len(publishing.waiting), publishing.sent, len(publishing.nacked), publishing.ended))
    return publishing
