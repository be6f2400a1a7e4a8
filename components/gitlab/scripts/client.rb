# A small client of GitLab's REST API (https://docs.gitlab.com/api/rest/). Runs inside the GitLab pod by its own Ruby,
# with lines before it that set TOKEN and PAYLOAD (JSON, in base64).
require 'base64'
require 'json'
require 'net/http'
require 'uri'

class Client
  class Failure < StandardError; end

  attr_reader :changes

  def initialize(url, host, token)
    @url = url
    @host = host
    @token = token
    @changes = []
  end

  # Waits until GitLab answers: right after a start its proxy is up before the application.
  def wait(attempts: 60, pause: 5)
    attempts.times do |attempt|
      return if get('/version')
    rescue SystemCallError, IOError, Timeout::Error, Failure => e
      raise if attempt == attempts - 1 || e.message.include?(' 401')

      sleep(pause)
    end
    raise Failure, 'GitLab does not answer'
  end

  # The object, or nil if there is none.
  def get(path)
    request(Net::HTTP::Get, path, nil, missing: nil)
  end

  # All objects of a list.
  def list(path)
    objects = []
    (1..100).each do |page|
      part = get("#{path}#{path.include?('?') ? '&' : '?'}per_page=100&page=#{page}")
      objects.concat(part)
      return objects if part.length < 100
    end
    objects
  end

  def post(path, body)
    request(Net::HTTP::Post, path, body)
  end

  def put(path, body)
    request(Net::HTTP::Put, path, body)
  end

  def delete(path)
    request(Net::HTTP::Delete, path, nil)
  end

  # Notes a change; what is noted must hold no secret.
  def changed(what)
    @changes << what
    warn what
  end

  # Runs a block and takes the access token back whatever becomes of it.
  def run
    wait
    yield
  ensure
    begin
      delete('/personal_access_tokens/self')
    rescue StandardError => e
      warn "the access token could not be revoked and lasts two days at most: #{e.message}"
    end
  end

  def escape(part)
    URI.encode_www_form_component(part).gsub('+', '%20')
  end

  private

  def request(kind, path, body, missing: :fail)
    uri = URI.parse("#{@url}/api/v4#{path}")
    call = kind.new(uri)
    call['Host'] = @host
    call['PRIVATE-TOKEN'] = @token
    if body
      call['Content-Type'] = 'application/json'
      call.body = JSON.generate(body)
    end
    response = Net::HTTP.start(uri.host, uri.port, open_timeout: 10, read_timeout: 120) { |http| http.request(call) }
    return missing if response.code == '404' && missing != :fail

    fail_with(call, path, response) unless response.is_a?(Net::HTTPSuccess)
    response.body.to_s.empty? ? {} : JSON.parse(response.body)
  end

  def fail_with(call, path, response)
    parsed = JSON.parse(response.body)
    reason = parsed['message'] || parsed['error']
  rescue JSON::ParserError, TypeError
    reason = nil
  ensure
    raise Failure, "#{call.method} #{path}: #{response.code} #{reason}"
  end
end
