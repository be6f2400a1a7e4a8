# Makes GitLab know the lab's runners and prints their authentication tokens, as JSON by class of runner. A line before
# this file sets CURRENT: the tokens (in base64) that the runners use now.
#
# GitLab shows a token once, when it makes it. A token that is in use and still valid is therefore kept; only if there
# is none (or it was revoked) the runner gets a new one.

class Runners
  # The description of each of these runners begins like this.
  OURS = 'homelab-ai/'.freeze

  def initialize(client)
    @client = client
  end

  def token(wanted, current)
    description = OURS + wanted['class']
    runner = known[description]
    return create(wanted, description) unless runner

    update(runner['id'], wanted, description)
    return current if current && valid?(current, runner['id'])

    @client.changed("runner #{description}: new token")
    @client.post("/runners/#{runner['id']}/reset_authentication_token", {})['token']
  end

  def remove_all_but(classes)
    known.each do |description, runner|
      next if classes.include?(description.delete_prefix(OURS))

      @client.delete("/runners/#{runner['id']}")
      @client.changed("runner #{description}: removed")
    end
  end

  private

  def known
    @known ||= @client.list('/runners/all?type=instance_type')
                      .select { |runner| runner['description'].to_s.start_with?(OURS) }
                      .to_h { |runner| [runner['description'], runner] }
  end

  def create(wanted, description)
    @client.changed("runner #{description}: created")
    @client.post('/user/runners', settings(wanted).merge(
      'runner_type' => 'instance_type', 'description' => description
    ))['token']
  end

  def update(id, wanted, description)
    current = @client.get("/runners/#{id}")
    differing = settings(wanted).reject do |key, value|
      value.is_a?(Array) ? current[key].to_a.sort == value.sort : current[key] == value
    end
    return if differing.empty?

    @client.put("/runners/#{id}", differing)
    @client.changed("runner #{description}: #{differing.keys.sort.join(', ')}")
  end

  def settings(wanted)
    { 'tag_list' => wanted['tags'], 'run_untagged' => wanted['untagged'], 'maximum_timeout' => wanted['timeout'] }
  end

  # Whether GitLab takes a token, and for this very runner.
  def valid?(token, id)
    @client.post('/runners/verify', 'token' => token)['id'] == id
  rescue Client::Failure
    false
  end
end

payload = JSON.parse(Base64.decode64(PAYLOAD))
client = Client.new(payload['url'], payload['host'], TOKEN)
tokens = {}
client.run do
  runners = Runners.new(client)
  payload['runners'].each do |wanted|
    current = CURRENT[wanted['class']].to_s
    tokens[wanted['class']] = runners.token(wanted, current.empty? ? nil : Base64.decode64(current))
  end
  runners.remove_all_but(payload['runners'].map { |wanted| wanted['class'] })
end
puts JSON.generate(tokens)
