# Puts groups, projects, settings and CI variables into GitLab. What is there already and as it should be is left
# alone, so that a second run changes nothing. Prints what it changed, as JSON.
require 'digest'

class Seed
  BRANCH = 'main'.freeze

  def initialize(client)
    @client = client
  end

  def settings(wanted)
    current = @client.get('/application/settings')
    differing = wanted.reject { |key, value| current[key] == value }
    return if differing.empty?

    @client.put('/application/settings', differing)
    @client.changed("settings: #{differing.keys.sort.join(', ')}")
  end

  def group(wanted)
    path = wanted['path']
    group = @client.get("/groups/#{@client.escape(path)}")
    unless group
      group = @client.post('/groups', wanted.slice('path', 'name', 'description', 'visibility'))
      @client.changed("group #{path}: created")
    end
    share(group, path, wanted['sharedWith'] || [])
  end

  def project(wanted)
    full = "#{wanted['group']}/#{wanted['path']}"
    project = @client.get("/projects/#{@client.escape(full)}")
    unless project
      parent = @client.get("/groups/#{@client.escape(wanted['group'])}")
      project = @client.post('/projects', wanted.slice('path', 'name', 'description', 'visibility').merge(
        'namespace_id' => parent['id'], 'default_branch' => BRANCH, 'initialize_with_readme' => false
      ))
      @client.changed("project #{full}: created")
    end
    # What is the user's own from then on is written once.
    return if wanted['once'] && !project['empty_repo']

    files(project, full, wanted)
  end

  # Instance-wide CI variables. Those that begin with the prefix are ours alone.
  def variables(wanted, prefix)
    current = @client.list('/admin/ci/variables').to_h { |variable| [variable['key'], variable] }
    wanted.each do |key, value|
      if current[key].nil?
        @client.post('/admin/ci/variables', 'key' => key, 'value' => value, 'raw' => true)
        @client.changed("variable #{key}: created")
      elsif current[key]['value'] != value
        @client.put("/admin/ci/variables/#{@client.escape(key)}", 'value' => value)
        @client.changed("variable #{key}: updated")
      end
    end
    (current.keys - wanted.keys).select { |key| key.start_with?(prefix) }.each do |key|
      @client.delete("/admin/ci/variables/#{@client.escape(key)}")
      @client.changed("variable #{key}: removed")
    end
  end

  private

  def share(group, path, wanted)
    shared = (group['shared_with_groups'] || []).map { |other| other['group_id'] }
    wanted.each do |other|
      id = @client.get("/groups/#{@client.escape(other['group'])}")['id']
      next if shared.include?(id)

      @client.post("/groups/#{group['id']}/share", 'group_id' => id, 'group_access' => other['level'])
      @client.changed("group #{path}: shared with #{other['group']}")
    end
  end

  # One commit with every file that differs.
  def files(project, full, wanted)
    actions = wanted['files'].sort.filter_map do |path, content|
      current = project['empty_repo'] ? nil : @client.get(file(project, path))
      next if current && current['content_sha256'] == Digest::SHA256.hexdigest(content)

      { 'action' => current ? 'update' : 'create', 'file_path' => path, 'content' => content }
    end
    return if actions.empty?

    @client.post("/projects/#{project['id']}/repository/commits", {
      'branch' => BRANCH, 'commit_message' => wanted['message'], 'actions' => actions
    })
    @client.changed("project #{full}: #{actions.map { |action| action['file_path'] }.join(', ')}")
  end

  def file(project, path)
    "/projects/#{project['id']}/repository/files/#{@client.escape(path)}?ref=#{BRANCH}"
  end
end

payload = JSON.parse(Base64.decode64(PAYLOAD).force_encoding('UTF-8'))
client = Client.new(payload['url'], payload['host'], TOKEN)
client.run do
  seed = Seed.new(client)
  seed.settings(payload['settings'])
  payload['groups'].each { |group| seed.group(group) }
  seed.variables(payload['variables'], payload['variablePrefix'])
  payload['projects'].each { |project| seed.project(project) }
end
puts JSON.generate('changes' => client.changes)
