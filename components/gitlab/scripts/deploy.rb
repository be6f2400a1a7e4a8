# Makes a deploy token for a project and prints it, as JSON by name. A line before this file sets CURRENT: the token (in
# base64) that is used now.
#
# GitLab shows a token once, when it makes it. One that is in use and still reads the repository is therefore kept.

class DeployTokens
  def initialize(client, url, host)
    @client = client
    @url = url
    @host = host
  end

  def token(wanted, current)
    return current if current && reads?(wanted, current)

    project = @client.get("/projects/#{@client.escape(wanted['project'])}")
    tokens = "/projects/#{project['id']}/deploy_tokens"
    @client.list("#{tokens}?active=true").select { |token| token['name'] == wanted['name'] }.each do |token|
      @client.delete("#{tokens}/#{token['id']}")
    end
    @client.changed("deploy token #{wanted['name']}: created for #{wanted['project']}")
    @client.post(tokens, 'name' => wanted['name'], 'username' => wanted['username'],
                         'scopes' => %w[read_repository])['token']
  end

  private

  # Whether git itself could read the repository.
  def reads?(wanted, token)
    uri = URI.parse("#{@url}/#{wanted['project']}.git/info/refs?service=git-upload-pack")
    call = Net::HTTP::Get.new(uri)
    call['Host'] = @host
    call.basic_auth(wanted['username'], token)
    Net::HTTP.start(uri.host, uri.port, open_timeout: 10, read_timeout: 60) { |http| http.request(call) }.code == '200'
  end
end

payload = JSON.parse(Base64.decode64(PAYLOAD))
client = Client.new(payload['url'], payload['host'], TOKEN)
tokens = {}
client.run do
  deploy = DeployTokens.new(client, payload['url'], payload['host'])
  payload['tokens'].each do |wanted|
    current = CURRENT[wanted['name']].to_s
    tokens[wanted['name']] = deploy.token(wanted, current.empty? ? nil : Base64.decode64(current))
  end
end
puts JSON.generate(tokens)
