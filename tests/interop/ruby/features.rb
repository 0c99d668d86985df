# What an application with Debian's ruby-stomp does: features.rb ADDRESS PORT CASE NAME. Says nothing if all was as it must be.
require 'stomp'
require 'timeout'

ADDRESS, PORT, CASE, NAME = ARGV
VERSIONS = %w[1.0 1.1 1.2].freeze

def must(got, wanted)
  raise "#{got.inspect}, expected #{wanted.inspect}" unless got == wanted
end

def options(version, more = {})
  headers = { 'accept-version' => version, 'host' => '/' }.merge(more.delete(:headers) || {})
  { hosts: [{ login: 'guest', passcode: 'guest', host: ADDRESS, port: PORT.to_i }.merge(more)], reliable: false,
    connect_headers: headers, parse_timeout: 20 }
end

def connection(version, more = {})
  made = Stomp::Connection.new(options(version, more))
  must(made.protocol, version)
  made
end

def each_version
  VERSIONS.each { |version| yield version, "#{NAME}-#{version}" }
end

# A SEND and its receipt.
def send_safely(conn, to, body, headers = {})
  conn.publish(to, body, headers.merge('receipt' => body[0, 10]))
  frame = conn.receive
  must([frame.command, frame.headers['receipt-id']], ['RECEIPT', body[0, 10]])
end

def answer(conn, version, frame, how = :ack, more = {})
  conn.send(how, frame.headers[version == '1.2' ? 'ack' : 'message-id'], version == '1.1' ? { 'subscription' => 's' }.merge(more) : more)
end

CASES = {
  'versions' => lambda {
    each_version do |version, name|
      conn = connection(version)
      conn.subscribe("/queue/#{name}", { 'id' => 's' })
      conn.publish("/queue/#{name}", 'hello', 'mine' => 'yours')
      frame = conn.receive
      must([frame.command, frame.body, frame.headers['mine'], frame.headers['destination']], ['MESSAGE', 'hello', 'yours', "/queue/#{name}"])
      conn.unsubscribe("/queue/#{name}", { 'id' => 's', 'receipt' => 'u' })
      must(conn.receive.headers['receipt-id'], 'u')
      conn.disconnect('receipt' => 'd')
      must(conn.disconnect_receipt.headers['receipt-id'], 'd')
    end
  },
  'escapes' => lambda {
    %w[1.1 1.2].each do |version|
      conn = connection(version)
      # It has no right escape for a backslash.
      odd = { 'colon' => 'a:b', 'lines' => "1\n2", 'script' => 'žluť 你好' }
      conn.subscribe("/topic/#{NAME}", { 'id' => "s:1\n" })
      conn.publish("/topic/#{NAME}", "body\0with NUL", odd)
      frame = conn.receive
      must(frame.body, "body\0with NUL")
      must(frame.headers['subscription'], "s:1\n")
      odd.each { |key, value| must(frame.headers[key], value) }
      conn.disconnect
    end
  },
  'sizes' => lambda {
    each_version do |version, name|
      conn = connection(version)
      conn.subscribe("/topic/#{name}", { 'id' => 's' })
      [0, 1, 1000, 65_536, 65_537, 1_000_000].each do |size|
        conn.publish("/topic/#{name}", "\0" * size)
        must(conn.receive.body.bytesize, size)
      end
      conn.disconnect
    end
  },
  'acknowledgements' => lambda {
    each_version do |version, name|
      conn = connection(version)
      4.times { |i| send_safely(conn, "/queue/#{name}", "message #{i}", 'persistent' => 'true') }
      conn.subscribe("/queue/#{name}", { 'id' => 's', 'ack' => 'client' })
      frames = Array.new(4) { conn.receive }
      answer(conn, version, frames[1], :ack, 'receipt' => 'a')
      must(conn.receive.headers['receipt-id'], 'a')
      conn.disconnect('receipt' => 'd')
      conn = connection(version)
      conn.subscribe("/queue/#{name}", { 'id' => 's', 'ack' => 'client-individual' })
      frames = Array.new(2) { conn.receive }
      must(frames.map { |frame| [frame.body, frame.headers['redelivered']] }, [['message 2', 'true'], ['message 3', 'true']])
      if version != '1.0'
        answer(conn, version, frames[0], :nack)
        frames[0] = conn.receive
        must(frames[0].body, 'message 2')
      end
      frames.each { |frame| answer(conn, version, frame) }
      conn.disconnect('receipt' => 'd')
    end
  },
  'transactions' => lambda {
    each_version do |version, name|
      conn = connection(version)
      conn.subscribe("/queue/#{name}", { 'id' => 's' })
      %w[abort commit].each do |ending|
        conn.begin('t')
        3.times { |i| conn.publish("/queue/#{name}", "#{ending} #{i}", 'transaction' => 't') }
        conn.send(ending, 't')
      end
      must(Array.new(3) { conn.receive.body }, ['commit 0', 'commit 1', 'commit 2'])
      conn.disconnect
    end
  },
  'receipts' => lambda {
    client = Stomp::Client.new(options('1.2'))
    done = Queue.new
    50.times { |i| client.publish("/queue/#{NAME}", i.to_s, 'persistent' => 'true') { |receipt| done << receipt.command } }
    50.times { must(done.pop, 'RECEIPT') }
    got = Queue.new
    client.subscribe("/queue/#{NAME}", { 'ack' => 'client' }) do |message|
      client.acknowledge(message)
      got << message.body
    end
    must(Array.new(50) { got.pop }, (0...50).map(&:to_s))
    client.close
  },
  'heart_beats' => lambda {
    conn = connection('1.2', headers: { 'heart-beat' => '500,500' })
    sleep 2.5
    raise "#{conn.hbrecv_count} heart-beats" if conn.hbrecv_count < 2
    send_safely(conn, "/queue/#{NAME}", 'still here')
    conn.disconnect
  },
  'refusals' => lambda {
    each_version do |version, _|
      conn = Stomp::Connection.new(options(version, passcode: 'wrong'))
      must([conn.connection_frame.command, conn.connection_frame.headers['message']], ['ERROR', "Access refused for user 'guest'"])
    rescue Stomp::Error::StompServerError, Stomp::Error::ConnectionError => e
      raise e unless e.message.include?('Access refused') || e.is_a?(Stomp::Error::ConnectionError)
    end
  },
  'send' => lambda {
    conn = connection('1.2')
    send_safely(conn, "/queue/#{NAME}", 'from ruby', 'persistent' => 'true', 'priority' => '3', 'correlation-id' => 'c', 'mine' => 'value',
                                                     'content-type' => 'text/plain')
    conn.disconnect
  },
  'receive' => lambda {
    conn = connection('1.2')
    conn.subscribe("/queue/#{NAME}", { 'id' => 's' })
    frame = conn.receive
    wanted = { 'correlation-id' => 'c', 'number' => '-5', 'flag' => 'true', 'text' => 'value', 'content-type' => 'text/plain', 'persistent' => 'true' }
    must(wanted.keys.to_h { |key| [key, frame.headers[key]] }, wanted)
    must(frame.body, 'from pika')
    conn.disconnect
  }
}.freeze

Timeout.timeout(60) { CASES.fetch(CASE).call }
